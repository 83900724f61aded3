using System.Globalization;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>Numbers for reading: short, and the same in every culture. Where a value must be exact, <see cref="ParameterText"/> writes it.</summary>
internal static class NumberText
{
    public const string None = "–";

    /// <summary>Six digits at most: 4e-4, 0.01, 1.38271.</summary>
    public static string Of(double value)
    {
        double size = Math.Abs(value);
        return value == 0 || size is >= 0.01 and < 1e5 ? value.ToString("0.######", CultureInfo.InvariantCulture) is var text && text.Length > 8 ? value.ToString("G6", CultureInfo.InvariantCulture) : text
            : value.ToString("0.#####e-0", CultureInfo.InvariantCulture);
    }

    public static string Of(double? value) => value is { } number ? Of(number) : None;

    public static string Of(long value) => value.ToString(CultureInfo.InvariantCulture);

    /// <summary>"1 trial", "2 trials".</summary>
    public static string Count(long count, string noun, string? plural = null) => $"{Of(count)} {(count == 1 ? noun : plural ?? noun + "s")}";
}

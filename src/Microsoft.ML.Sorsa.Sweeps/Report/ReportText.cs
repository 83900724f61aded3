using System.Globalization;
using System.Xml;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>
/// Numbers for reading: short, and the same in every culture. Where a value must be exact, <see cref="ParameterText"/> writes it.
/// </summary>
internal static class NumberText
{
    public const string None = "–";

    /// <summary>Four digits that count, at most: 4e-4, 0.01, 1.383, 12350.</summary>
    public static string Of(double value)
    {
        double size = Math.Abs(value);
        return value != 0 && size is < 0.01 or >= 1e5
            ? value.ToString("0.###e-0", CultureInfo.InvariantCulture)
            : double.Parse(value.ToString("G4", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture)
                .ToString("0.#####", CultureInfo.InvariantCulture);
    }

    /// <summary>A parameter: whole numbers, names and choices as they are.</summary>
    public static string Of(object? value) => value is double number ? Of(number) : ParameterText.Of(value);

    public static string Of(double? value) => value is { } number ? Of(number) : None;

    public static string Of(long value) => value.ToString(CultureInfo.InvariantCulture);

    /// <summary>"1 trial", "2 trials".</summary>
    public static string Count(long count, string noun, string? plural = null) =>
        $"{Of(count)} {(count == 1 ? noun : plural ?? noun + "s")}";
}

/// <summary>Texts of users and of errors, so that XML can hold them.</summary>
internal static class PlainText
{
    /// <summary>
    /// Characters that no XML document may have (most control characters, halves of a pair) become the replacement character.
    /// </summary>
    public static string Of(string text) => string.Concat(text.EnumerateRunes().Select(
        rune => rune.IsBmp && !XmlConvert.IsXmlChar((char)rune.Value) ? "\uFFFD" : rune.ToString()));

    /// <summary>At most so many characters, the last of them dots where something is missing.</summary>
    public static string Short(string text, int characters)
    {
        var whole = new StringInfo(Of(text));
        return whole.LengthInTextElements <= characters ? whole.String : whole.SubstringByTextElements(0, characters - 1) + "…";
    }
}

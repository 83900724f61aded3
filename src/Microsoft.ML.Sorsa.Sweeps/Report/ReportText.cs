using System.Globalization;
using System.Xml;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>
/// Numbers for reading: short, and the same in every culture. Where a value must be exact, <see cref="ParameterText"/> writes it.
/// </summary>
internal static class NumberText
{
    public const string None = "–";

    /// <summary>Six digits at most: 4e-4, 0.01, 1.38271.</summary>
    public static string Of(double value)
    {
        double size = Math.Abs(value);
        if (value != 0 && size is < 0.01 or >= 1e5)
        {
            return value.ToString("0.#####e-0", CultureInfo.InvariantCulture);
        }

        string text = value.ToString("0.######", CultureInfo.InvariantCulture);
        return text.Length > 8 ? value.ToString("G6", CultureInfo.InvariantCulture) : text;
    }

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

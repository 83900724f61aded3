using System.Globalization;
using System.Xml;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>Texts of users and of errors, so that XML can hold them.</summary>
internal static class PlainText
{
    /// <summary>Characters that no XML document may have (most control characters, halves of a pair) become the replacement character.</summary>
    public static string Of(string text) => string.Concat(text.EnumerateRunes().Select(rune => rune.IsBmp && !XmlConvert.IsXmlChar((char)rune.Value) ? "\uFFFD" : rune.ToString()));

    /// <summary>At most so many characters, the last of them dots where something is missing.</summary>
    public static string Short(string text, int characters)
    {
        var whole = new StringInfo(Of(text));
        return whole.LengthInTextElements <= characters ? whole.String : whole.SubstringByTextElements(0, characters - 1) + "…";
    }
}

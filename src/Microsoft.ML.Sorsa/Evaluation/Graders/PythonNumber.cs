using System.Globalization;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Evaluation.Graders;

/// <summary>Numbers in texts as Python's float() reads them.</summary>
internal static partial class PythonNumber
{
    /// <summary>Blanks around, digits of any script, single underscores between digits, an exponent, nan and inf; no commas.</summary>
    public static bool TryParse(string text, out double number)
    {
        string plain = PythonText.Strip(PythonText.AsciiDigits(text));
        if (Name.Match(plain) is { Success: true } name)
        {
            bool negative = plain[0] == '-';
            number = name.Groups[1].Value[0] is 'n' or 'N' ? double.NaN
                : negative ? double.NegativeInfinity : double.PositiveInfinity;
            return true;
        }

        number = 0;
        string digits = plain.Replace("_", "", StringComparison.Ordinal);
        return Digits.IsMatch(plain) && double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out number);
    }

    /// <summary>Python's math.isclose with a relative tolerance alone.</summary>
    public static bool AreClose(double left, double right, double tolerance) =>
        left.Equals(right) && !double.IsNaN(left)
        || left == right
        || (double.IsFinite(left) && double.IsFinite(right)
            && Math.Abs(left - right) <= tolerance * Math.Max(Math.Abs(left), Math.Abs(right)));

    [GeneratedRegex(@"^[+-]?(nan|inf|infinity)\z", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Name { get; }

    [GeneratedRegex(@"^[+-]?([0-9]+(_[0-9]+)*\.?([0-9]+(_[0-9]+)*)?|\.[0-9]+(_[0-9]+)*)([eE][+-]?[0-9]+(_[0-9]+)*)?\z")]
    private static partial Regex Digits { get; }
}

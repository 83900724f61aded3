using System.Globalization;

namespace ReproducePaper;

/// <summary>Learning rates are tried at 1, 2 and 5 times the powers of ten.</summary>
internal static class RateGrid
{
    private static readonly int[] s_digits = [1, 2, 5];

    /// <summary>The value of the grid that is nearest on a logarithmic scale.</summary>
    public static double Nearest(double rate)
    {
        int power = (int)Math.Floor(Math.Log10(rate));
        return Enumerable.Range(3 * power, 4).Select(At).MinBy(value => Math.Abs(Math.Log(value / rate)));
    }

    /// <summary>Another value of the grid.</summary>
    /// <param name="rate">A value of the grid.</param>
    /// <param name="places">1: the next larger, -1: the next smaller.</param>
    public static double Next(double rate, int places)
    {
        int power = (int)Math.Floor(Math.Log10(rate) + 1e-9);
        int digit = Array.FindIndex(s_digits, value => Math.Abs(rate / Math.Pow(10, power) - value) < 0.1);
        return At(3 * power + digit + places);
    }

    /// <summary>Parsed, since 2 times 10 to the power of -3 is not 2e-3 to the last bit.</summary>
    private static double At(int index)
    {
        int power = (int)Math.Floor(index / 3.0);
        return double.Parse(
            string.Create(CultureInfo.InvariantCulture, $"{s_digits[index - 3 * power]}e{power}"), CultureInfo.InvariantCulture);
    }
}

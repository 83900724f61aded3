using System.Globalization;

namespace Microsoft.ML.Sorsa.Memory;

/// <summary>Bytes as people read them: in units of 1,024.</summary>
internal static class ByteText
{
    private static readonly string[] s_units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

    public static string Of(long bytes)
    {
        double value = bytes;
        int unit = 0;
        while (value >= 1024 && unit < s_units.Length - 1)
        {
            value /= 1024;
            unit++;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{Math.Round(value, value < 100 && unit > 0 ? 1 : 0)} {s_units[unit]}");
    }
}

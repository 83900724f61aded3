using System.Text.Json.Nodes;

namespace Microsoft.ML.Sorsa.Tool.Outputs;

/// <summary>Numbers as JSON has them and as people read them.</summary>
internal static class Numbers
{
    private static readonly string[] s_units = ["B", "KB", "MB", "GB", "TB"];

    /// <summary>Null where JSON has no such number.</summary>
    public static JsonNode? Of(double? value) => value is { } number && double.IsFinite(number) ? JsonValue.Create(number) : null;

    /// <summary>Bytes in units of 1000, with three digits.</summary>
    public static string Bytes(long bytes)
    {
        double value = bytes;
        int unit = 0;
        for (; value >= 1000 && unit < s_units.Length - 1; unit++)
        {
            value /= 1000;
        }

        return unit == 0 ? $"{bytes} B" : FormattableString.Invariant($"{value:G3} {s_units[unit]}");
    }

    /// <summary>1 h 05 min, 2 min 30 s, 4.5 s.</summary>
    public static string Time(TimeSpan time) => time.TotalHours >= 1
        ? FormattableString.Invariant($"{(int)time.TotalHours} h {time.Minutes:00} min")
        : time.TotalMinutes >= 1 ? FormattableString.Invariant($"{time.Minutes} min {time.Seconds:00} s")
        : FormattableString.Invariant($"{time.TotalSeconds:F1} s");
}

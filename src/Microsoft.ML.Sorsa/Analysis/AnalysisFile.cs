using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Analysis;

/// <summary>An analysis as comma-separated values, and as JSON, which is read again and checked.</summary>
internal static class AnalysisFile
{
    private const string Format = "Microsoft.ML.Sorsa analysis";
    private const int Version = 1;

    private static readonly string[] s_header =
    [
        "step", "path", "layer", "module", "singular_value_change", "singular_vector_change", "orthonormality", "effective_rank",
        "intruder_dimensions",
    ];

    public static void WriteCsv(Stream stream, IReadOnlyList<MatrixAnalysis> matrices) =>
        CsvLines.Write(stream, matrices.Select(Line).Prepend(s_header));

    public static void WriteJson(Stream stream, IReadOnlyList<MatrixAnalysis> matrices)
    {
        using var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true });
        writer.WriteStartObject();
        writer.WriteString("format", Format);
        writer.WriteNumber("version", Version);
        writer.WriteStartArray("matrices");
        foreach (MatrixAnalysis row in matrices)
        {
            writer.WriteStartObject();
            writer.WriteNumber("step", row.Step);
            writer.WriteString("path", row.Path);
            writer.WriteNumber("singular_value_change", row.SingularValueChange);
            writer.WriteNumber("singular_vector_change", row.SingularVectorChange);
            if (row.Orthonormality is { } orthonormality)
            {
                writer.WriteNumber("orthonormality", orthonormality);
            }

            writer.WriteNumber("effective_rank", row.EffectiveRank);
            writer.WriteNumber("intruder_dimensions", row.IntruderDimensions);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <exception cref="InvalidDataException">It is no such file, or a value is none that a row can have.</exception>
    public static IReadOnlyList<MatrixAnalysis> ReadJson(string path)
    {
        JsonReader file = JsonReader.Read(path);
        string format = file.TextOf("format");
        int version = file.Positive("version");
        return format == Format && version == Version ? [.. file["matrices"].Items.Select(Row)] : throw file.Bad(
            $"its format is '{format}', version {version}, and this library reads '{Format}', version {Version}");
    }

    private static MatrixAnalysis Row(JsonReader row) => new()
    {
        Step = Count(row["step"]),
        Path = row["path"] is var path && path.Text.Length > 0 ? path.Text : throw path.Invalid("must be a name"),
        SingularValueChange = row["singular_value_change"].NonNegative,
        SingularVectorChange = row["singular_vector_change"] is var change && change.NonNegative <= 1
            ? change.NonNegative
            : throw change.Invalid("must be at most 1"),
        Orthonormality = row.Find("orthonormality")?.NonNegative,
        EffectiveRank = row["effective_rank"].NonNegative,
        IntruderDimensions = Count(row["intruder_dimensions"]),
    };

    private static int Count(JsonReader value) => value.Integer >= 0 ? value.Integer : throw value.Invalid("must be at least 0");

    private static string[] Line(MatrixAnalysis row) =>
    [
        Text(row.Step), row.Path, Text(row.Layer), row.Module, Text(row.SingularValueChange), Text(row.SingularVectorChange),
        Text(row.Orthonormality), Text(row.EffectiveRank), Text(row.IntruderDimensions),
    ];

    private static string Text(double? value) => value is { } number ? number.ToString("R", CultureInfo.InvariantCulture) : "";
}

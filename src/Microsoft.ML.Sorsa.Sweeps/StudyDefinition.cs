using System.Globalization;
using System.Text.Json;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// Everything that decides the trials of a study, as names and texts: what a study that is opened again is compared with. How many trials
/// there are, and for how long, is not in it: a study may go on.
/// </summary>
public sealed class StudyDefinition
{
    internal const string ModelKey = "model", MetricKey = "metric", ThreadsKey = "threads per trial";

    private readonly SortedDictionary<string, string> _values;

    internal StudyDefinition(IEnumerable<KeyValuePair<string, string>> values) =>
        _values = new(new Dictionary<string, string>(values, StringComparer.Ordinal), StringComparer.Ordinal);

    /// <summary>The base model, by its content: <see cref="SorsaBaseModel.Fingerprint"/>.</summary>
    public string ModelFingerprint => _values[ModelKey];

    /// <summary>
    /// Whether a stored name is of the same model: version 0.1 gave other names. Null: where it is <see cref="ModelFingerprint"/>.
    /// </summary>
    internal Func<string, bool>? IsModel { get; init; }

    /// <summary>The name of the metric.</summary>
    internal string Metric => _values[MetricKey];

    /// <summary>Threads that a trial computes with.</summary>
    internal int ThreadsPerTrial => int.Parse(_values[ThreadsKey], CultureInfo.InvariantCulture);

    /// <summary>By name, in ordinal order.</summary>
    internal IEnumerable<KeyValuePair<string, string>> Values => _values;

    /// <summary>Reads what <see cref="ToJson"/> wrote.</summary>
    /// <param name="json">The text.</param>
    /// <exception cref="JsonException">It is no such text.</exception>
    public static StudyDefinition Parse(string json) => new(JsonSerializer.Deserialize<Dictionary<string, string>>(json)!);

    /// <summary>All of it as one text; the same definition gives the same text.</summary>
    public string ToJson() => JsonSerializer.Serialize(_values);

    /// <summary>Refuses to go on with a study of another definition.</summary>
    /// <param name="stored">What the study that is there was made with.</param>
    /// <param name="study">Its name, for the message.</param>
    /// <exception cref="InvalidOperationException">They differ; shows every difference.</exception>
    public void RequireSame(StudyDefinition stored, string study)
    {
        ArgumentNullException.ThrowIfNull(stored);
        string[] differences =
        [
            .. _values.Keys.Union(stored._values.Keys, StringComparer.Ordinal).Order(StringComparer.Ordinal)
                .Where(name => Of(this, name) != Of(stored, name) && !(name == ModelKey && IsModel?.Invoke(Of(stored, name)) == true))
                .Select(name => $"{name}: the study has {Of(stored, name)}, the experiment {Of(this, name)}"),
        ];
        if (differences.Length > 0)
        {
            throw new InvalidOperationException($"{study} was begun with other settings, and its trials cannot be compared with those of "
                + "this experiment. Set the experiment up as it was, or name another study:"
                + $"{Environment.NewLine}  {string.Join(Environment.NewLine + "  ", differences)}");
        }

        static string Of(StudyDefinition definition, string name) => definition._values.GetValueOrDefault(name, "nothing");
    }
}

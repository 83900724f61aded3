using System.Globalization;
using System.Text.Json;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// Everything that decides the trials of a study, as names and texts: what a study that is opened again is compared with. How many trials
/// there are, and for how long, is not in it: a study may go on.
/// </summary>
public sealed class StudyDefinition
{
    internal const string ModelKey = "model", MetricKey = "metric", ThreadsKey = "threads per trial", TrainerPrefix = "trainer.";

    private const int MostThreads = 4096;

    private readonly SortedDictionary<string, string> _values;

    internal StudyDefinition(IEnumerable<KeyValuePair<string, string>> values) =>
        _values = new(new Dictionary<string, string>(values, StringComparer.Ordinal), StringComparer.Ordinal);

    /// <summary>The base model, by its content: <see cref="SorsaBaseModel.Fingerprint"/>.</summary>
    /// <exception cref="InvalidDataException">The definition was read from a study and does not say.</exception>
    public string ModelFingerprint => Required(ModelKey);

    /// <summary>
    /// Whether a stored name is of the same model: version 0.1 gave other names. Null: where it is <see cref="ModelFingerprint"/>.
    /// </summary>
    internal Func<string, bool>? IsModel { get; init; }

    /// <summary>The name of the metric.</summary>
    internal string Metric => Required(MetricKey);

    /// <summary>Threads that a trial computes with.</summary>
    internal int ThreadsPerTrial =>
        int.TryParse(Required(ThreadsKey), NumberStyles.None, CultureInfo.InvariantCulture, out int threads)
            && threads is >= 1 and <= MostThreads
            ? threads
            : throw new InvalidDataException(string.Create(CultureInfo.InvariantCulture,
                $"'{ThreadsKey}' of the study's definition is '{Required(ThreadsKey)}', "
                + $"where a whole number from 1 to {MostThreads} belongs."));

    /// <summary>By name, in ordinal order.</summary>
    internal IEnumerable<KeyValuePair<string, string>> Values => _values;

    /// <summary>Reads what <see cref="ToJson"/> wrote.</summary>
    /// <param name="json">The text.</param>
    /// <exception cref="InvalidDataException">It is no such text.</exception>
    public static StudyDefinition Parse(string json)
    {
        ArgumentNullException.ThrowIfNull(json);
        try
        {
            Dictionary<string, string?>? values = JsonSerializer.Deserialize<Dictionary<string, string?>>(json);
            return values is not null && !values.ContainsValue(null)
                ? new StudyDefinition(values!)
                : throw new InvalidDataException("It must be a JSON object of names and texts, and something is null.");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"It is not the JSON that a study has there: {e.Message}", e);
        }
    }

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
                .Where(name => Decides(name) && Of(this, name) != Of(stored, name)
                    && !(name == ModelKey && Of(stored, name) is { } model && IsModel?.Invoke(model) == true))
                .Select(name => $"{name}: the study has {Shown(Of(stored, name))}, the experiment {Shown(Of(this, name))}"),
        ];
        if (differences.Length > 0)
        {
            throw new InvalidOperationException($"{study} was begun with other settings, and its trials cannot be compared with those of "
                + "this experiment. Set the experiment up as it was, or name another study:"
                + $"{Environment.NewLine}  {string.Join(Environment.NewLine + "  ", differences)}");
        }

        // An option that came after the study was begun was not there to be set: it had its default.
        static string? Of(StudyDefinition definition, string name) => definition._values.GetValueOrDefault(name) ?? DefaultOf(name);

        static string Shown(string? value) => value is null ? "nothing" : $"'{value}'";

        // Versions before 0.2 wrote the names of the columns down, which decide nothing.
        static bool Decides(string name) =>
            !name.StartsWith(TrainerPrefix, StringComparison.Ordinal) || OptionText.Decides(name[TrainerPrefix.Length..]);
    }

    private static string? DefaultOf(string name) =>
        name.StartsWith(TrainerPrefix, StringComparison.Ordinal) ? OptionText.Default(name[TrainerPrefix.Length..]) : null;

    private string Required(string key) => _values.TryGetValue(key, out string? value)
        ? value
        : throw new InvalidDataException(
            $"The study's definition has no '{key}'. It was changed; put a copy back, or begin another study.");
}

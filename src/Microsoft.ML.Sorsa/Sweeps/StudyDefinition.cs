using System.Globalization;
using System.Text.Json;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// Everything that decides the trials of a study, by name, as text: what a study that is opened again is compared with. How many trials there are, and for how long,
/// is not in it: a study may go on.
/// </summary>
internal sealed class StudyDefinition
{
    private readonly SortedDictionary<string, string> _values;

    public StudyDefinition(IEnumerable<KeyValuePair<string, string>> values) => _values = new(new Dictionary<string, string>(values, StringComparer.Ordinal), StringComparer.Ordinal);

    public string this[string name] => _values[name];

    /// <summary>By name, in ordinal order.</summary>
    public IEnumerable<KeyValuePair<string, string>> Values => _values;

    public static StudyDefinition Parse(string json) => new(JsonSerializer.Deserialize<Dictionary<string, string>>(json)!);

    public string ToJson() => JsonSerializer.Serialize(_values);

    /// <summary>Refuses to go on with a study of another definition.</summary>
    /// <param name="stored">What the study on disk was made with.</param>
    /// <param name="study">Its name, for the message.</param>
    /// <exception cref="InvalidOperationException">Shows every difference.</exception>
    public void RequireSame(StudyDefinition stored, string study)
    {
        string[] names = [.. _values.Keys.Union(stored._values.Keys, StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        string[] differences = [.. names.Where(name => Of(this, name) != Of(stored, name)).Select(name => string.Create(CultureInfo.InvariantCulture, $"{name}: the study has {Of(stored, name)}, the experiment {Of(this, name)}"))];
        if (differences.Length > 0)
        {
            throw new InvalidOperationException($"{study} was begun with other settings, and its trials cannot be compared with those of this experiment. Set the experiment up as it was, or name another study:{Environment.NewLine}  {string.Join(Environment.NewLine + "  ", differences)}");
        }

        static string Of(StudyDefinition definition, string name) => definition._values.GetValueOrDefault(name, "nothing");
    }
}

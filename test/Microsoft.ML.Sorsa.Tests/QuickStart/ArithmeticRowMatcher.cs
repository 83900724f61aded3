using System.Data;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Tests.QuickStart;

/// <summary>
/// Reads finetune-families.json backwards: which family a row is of, and whether its names and numbers are what the family allows.
/// It shares nothing with the generator: wordings become regular expressions, arithmetic is done by <see cref="DataTable.Compute"/>.
/// </summary>
internal sealed partial class ArithmeticRowMatcher : IDisposable
{
    private readonly JsonDocument task = JsonDocument.Parse(File.ReadAllText(Path.Combine(TestData.TinyLlama, "finetune-families.json")));
    private readonly DataTable calculator = new() { Locale = CultureInfo.InvariantCulture };
    private readonly List<(JsonElement Family, Regex Wording)> wordings = [];

    public ArithmeticRowMatcher()
    {
        foreach (JsonElement family in task.RootElement.GetProperty("families").EnumerateArray())
        {
            foreach (JsonElement question in family.GetProperty("questions").EnumerateArray())
            {
                wordings.Add((family, Wording($"{question}\n{family.GetProperty("answers")[0]}\n#### {{r}}")));
            }
        }
    }

    /// <summary>The families' names with their weights.</summary>
    public Dictionary<string, double> Weights => task.RootElement.GetProperty("families").EnumerateArray()
        .ToDictionary(family => family.GetProperty("id").GetString()!, family => family.GetProperty("weight").GetDouble());

    /// <summary>The row's family; the test fails where none or more than one fits, or where a name or number is not allowed.</summary>
    public string FamilyOf(string question, string answer)
    {
        string row = $"{question}\n{answer}";
        (JsonElement Family, Match Match)[] found =
            [.. wordings.Select(wording => (wording.Family, wording.Wording.Match(row))).Where(found => found.Item2.Success)];
        Assert.HasCount(1, found, $"The wordings that fit this row:\n{row}");
        (JsonElement family, Match match) = found[0];

        AssertPeople(match, row);
        AssertNumbers(family, match, row);
        foreach (Match step in Step.Matches(answer))
        {
            Assert.AreEqual(Number(step.Groups[2]), Compute(step.Groups[1].Value), row);
        }

        return family.GetProperty("id").GetString()!;
    }

    public void Dispose()
    {
        task.Dispose();
        calculator.Dispose();
    }

    private void AssertPeople(Match match, string row)
    {
        string[] people = [.. Captured(match, "name", "other", "third").Select(person => person.Value)];
        Assert.HasCount(people.Length, people.Distinct(), row);
        bool girl = Pool("girls").Contains(match.Groups["name"].Value);
        foreach (Group pronoun in Captured(match, "he", "He", "him"))
        {
            string expected = girl ? pronoun.Name switch { "he" => "she", "He" => "She", _ => "her" } : pronoun.Name;
            Assert.AreEqual(expected, pronoun.Value, row);
        }
    }

    private void AssertNumbers(JsonElement family, Match match, string row)
    {
        foreach (JsonProperty range in family.GetProperty("vars").EnumerateObject())
        {
            int number = Number(match.Groups[range.Name]);
            Assert.IsInRange(range.Value[0].GetInt32(), range.Value[1].GetInt32(), number, $"{range.Name} of {row}");
        }

        // "{a + b} = {s}" with the row's own numbers; every name of an expression stands somewhere in the row.
        string Numbers(string expression) => Name.Replace(expression, name => match.Groups[name.Value].Value);
        foreach (JsonProperty derived in family.GetProperty("let").EnumerateObject())
        {
            Assert.AreEqual(Number(match.Groups[derived.Name]), Compute(Numbers(derived.Value.GetString()!)), $"{derived.Name} of {row}");
        }

        foreach (JsonElement condition in family.GetProperty("require").EnumerateArray())
        {
            Assert.IsTrue((bool)calculator.Compute(Numbers(condition.GetString()!), null), $"{condition} of {row}");
        }
    }

    /// <summary>A wording as a pattern: a place is what may stand there the first time and must be the same from then on.</summary>
    private Regex Wording(string template)
    {
        HashSet<string> seen = [];
        string pattern = string.Concat(Places.Split(template).Select((part, at) =>
            at % 2 == 0 ? Regex.Escape(part) : seen.Add(part) ? $"(?<{part}>{Allowed(part)})" : $@"\k<{part}>"));
        return new Regex($@"\A{pattern}\z", RegexOptions.CultureInvariant);
    }

    private string Allowed(string place) => place switch
    {
        "name" or "other" or "third" => string.Join('|', Pool("girls").Concat(Pool("boys"))),
        "he" => "he|she",
        "He" => "He|She",
        "him" => "him|her",
        "items" => string.Join('|', Pool("items")),
        "good" => string.Join('|', Pool("goods")),
        "boxes" => string.Join('|', Pool("containers")),
        "day" => string.Join('|', Pool("days")),
        _ => "0|[1-9][0-9]*",
    };

    private IEnumerable<string> Pool(string name) => task.RootElement.GetProperty(name).EnumerateArray().Select(text => text.GetString()!);

    private decimal Compute(string expression) => Convert.ToDecimal(calculator.Compute(expression, null), CultureInfo.InvariantCulture);

    private static IEnumerable<Group> Captured(Match match, params string[] names) =>
        names.Select(name => match.Groups[name]).Where(group => group.Success);

    private static int Number(Group group) => int.Parse(group.Value, NumberStyles.None, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"\{(\w+)\}")]
    private static partial Regex Places { get; }

    [GeneratedRegex("[a-z]")]
    private static partial Regex Name { get; }

    [GeneratedRegex(@"([0-9]+ [-+*/] [0-9]+) = ([0-9]+)")]
    private static partial Regex Step { get; }
}

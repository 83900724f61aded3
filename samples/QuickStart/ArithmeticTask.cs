using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace QuickStart;

/// <summary>
/// The instruction task of tiny-llama-math: small stories with a question, and answers in GSM8K's style. The model's folder
/// describes it (finetune-spec.md; finetune-families.json holds the same for programs), and this draws rows from it.
/// </summary>
internal sealed partial class ArithmeticTask
{
    private readonly Family[] _families;
    private readonly double _totalWeight;
    private readonly string[] _girls, _boys, _items, _goods, _containers, _days;

    private ArithmeticTask(JsonElement task)
    {
        _girls = Texts(task.GetProperty("girls"));
        _boys = Texts(task.GetProperty("boys"));
        _items = Texts(task.GetProperty("items"));
        _goods = Texts(task.GetProperty("goods"));
        _containers = Texts(task.GetProperty("containers"));
        _days = Texts(task.GetProperty("days"));
        _families = [.. task.GetProperty("families").EnumerateArray().Select(Family.Read)];
        _totalWeight = _families.Sum(family => family.Weight);
    }

    /// <summary>The task as <c>finetune-families.json</c> in the model's folder describes it.</summary>
    public static ArithmeticTask Load(string modelFolder)
    {
        using JsonDocument task = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(modelFolder, "finetune-families.json")));
        return new ArithmeticTask(task.RootElement);
    }

    /// <summary>Rows drawn at random, the same for the same seed.</summary>
    /// <param name="rows">How many.</param>
    /// <param name="seed">Another seed, other rows.</param>
    /// <param name="excludedQuestions">Questions that must not come: those of the test rows when training rows are drawn.</param>
    public IReadOnlyList<(string Question, string Answer)> Draw(int rows, int seed, IReadOnlySet<string>? excludedQuestions = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        Random random = new(seed);
        List<(string Question, string Answer)> drawn = new(rows);
        while (drawn.Count < rows)
        {
            (string Question, string Answer) row = DrawRow(random);
            if (excludedQuestions is null || !excludedQuestions.Contains(row.Question))
            {
                drawn.Add(row);
            }
        }

        return drawn;
    }

    /// <summary>
    /// The integer that stands after <c>#### </c> in a reply, in its digits; null where there is none. Strict: one blank before it,
    /// white space or the end of the reply behind it, so that 12.5 is not read as 12. Thousands may be set apart by commas, as in GSM8K.
    /// </summary>
    public static string? FinalAnswer(string reply) => FinalLine.Match(reply) is { Success: true } match
        ? match.Groups[1].Value.Replace(",", "", StringComparison.Ordinal)
        : null;

    private (string Question, string Answer) DrawRow(Random random)
    {
        Family family = DrawFamily(random);
        Dictionary<string, string> fill = [];
        bool she = AddPeople(fill, random);
        (fill["he"], fill["He"], fill["him"]) = she ? ("she", "She", "her") : ("he", "He", "him");
        fill["items"] = Pick(_items, random);
        fill["good"] = Pick(_goods, random);
        fill["boxes"] = Pick(_containers, random);
        fill["day"] = Pick(_days, random);
        foreach ((string name, int number) in family.DrawNumbers(random))
        {
            fill[name] = number.ToString(CultureInfo.InvariantCulture);
        }

        string Filled(string template) => Placeholder.Replace(template, match => fill[match.Groups[1].Value]);
        return (Filled(Pick(family.Questions, random)), Filled(family.Answer + "\n#### {r}"));
    }

    private Family DrawFamily(Random random)
    {
        double left = random.NextDouble() * _totalWeight;
        return _families.FirstOrDefault(family => (left -= family.Weight) < 0) ?? _families[^1];
    }

    /// <summary>Three different people; true where the first one is a girl.</summary>
    private bool AddPeople(Dictionary<string, string> fill, Random random)
    {
        HashSet<string> people = [];
        bool she = false;
        foreach (string place in (string[])["name", "other", "third"])
        {
            bool girl;
            string name;
            do
            {
                girl = random.Next(2) == 0;
                name = Pick(girl ? _girls : _boys, random);
            }
            while (!people.Add(name));

            fill[place] = name;
            she = place == "name" ? girl : she;
        }

        return she;
    }

    private static string Pick(string[] pool, Random random) => pool[random.Next(pool.Length)];

    private static string[] Texts(JsonElement array) => [.. array.EnumerateArray().Select(text => text.GetString()!)];

    [GeneratedRegex(@"\{(\w+)\}")]
    private static partial Regex Placeholder { get; }

    [GeneratedRegex(@"#### (-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+))(?!\S)")]
    private static partial Regex FinalLine { get; }

    /// <summary>One kind of story: numbers with their ranges, what follows from them, and the wordings.</summary>
    private sealed record Family(
        double Weight,
        (string Name, int Least, int Most)[] Ranges,
        (string Name, string Expression)[] Derived,
        string[] Conditions,
        string[] Questions,
        string Answer)
    {
        public static Family Read(JsonElement family) => new(
            family.GetProperty("weight").GetDouble(),
            [.. family.GetProperty("vars").EnumerateObject()
                .Select(range => (range.Name, range.Value[0].GetInt32(), range.Value[1].GetInt32()))],
            [.. family.GetProperty("let").EnumerateObject().Select(value => (value.Name, value.Value.GetString()!))],
            Texts(family.GetProperty("require")),
            Texts(family.GetProperty("questions")),
            family.GetProperty("answers")[0].GetString()!);

        /// <summary>All numbers anew until every condition holds.</summary>
        public Dictionary<string, int> DrawNumbers(Random random)
        {
            while (true)
            {
                Dictionary<string, int> numbers = [];
                foreach ((string name, int least, int most) in Ranges)
                {
                    numbers[name] = random.Next(least, most + 1);
                }

                foreach ((string name, string expression) in Derived)
                {
                    numbers[name] = Evaluate(expression, numbers);
                }

                if (Conditions.All(condition => Evaluate(condition, numbers) != 0))
                {
                    return numbers;
                }
            }
        }

        /// <summary>Two operands, each a name or a number, with an operator between; a comparison gives 1 or 0.</summary>
        private static int Evaluate(string expression, Dictionary<string, int> numbers)
        {
            int Operand(string text) => numbers.TryGetValue(text, out int number) ? number : int.Parse(text, CultureInfo.InvariantCulture);
            return expression.Split(' ') switch
            {
                [var a, "+", var b] => Operand(a) + Operand(b),
                [var a, "-", var b] => Operand(a) - Operand(b),
                [var a, "*", var b] => Operand(a) * Operand(b),
                [var a, "<=", var b] => Operand(a) <= Operand(b) ? 1 : 0,
                [var a, ">=", var b] => Operand(a) >= Operand(b) ? 1 : 0,
                _ => throw new InvalidDataException(
                    $"finetune-families.json has the expression \"{expression}\"; it must be two operands with +, -, *, <= or >= between."),
            };
        }
    }
}

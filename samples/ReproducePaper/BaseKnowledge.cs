using System.Text;
using Microsoft.ML.Sorsa.Evaluation;

namespace ReproducePaper;

/// <summary>
/// What the bundled model knew before it was trained, so that forgetting can be seen: plain text of the kinds that it was made from
/// (samples/models/tiny-llama-math/README.md), and sums to choose the result of. The rows of the task are of none of these forms.
/// </summary>
internal static class BaseKnowledge
{
    private static readonly string[] s_girls = ["Mia", "Anna", "Lily", "Emma", "Nora", "Ella", "Zoe", "Ruby"];
    private static readonly string[] s_boys = ["Tom", "Ben", "Sam", "Leo", "Max", "Jack", "Paul", "Omar"];
    private static readonly string[] s_items = ["apples", "books", "pencils", "stickers", "marbles", "shells", "cards", "stamps"];

    /// <summary>Short texts of number facts or of a worked story, each with its end and the next one's beginning.</summary>
    /// <param name="length">Characters, at least.</param>
    public static string Text(int length)
    {
        var random = new Random(4);
        var text = new StringBuilder();
        while (text.Length < length)
        {
            IEnumerable<string> sentences = random.Next(2) == 0 ? Enumerable.Range(0, 6).Select(_ => Fact(random)) : [Story(random)];
            text.AppendJoin(' ', sentences).Append("</s><s>");
        }

        return text.ToString();
    }

    /// <summary>"12 + 5 =" with the result and three numbers near it.</summary>
    public static IReadOnlyList<MultipleChoiceQuestion> Sums(int count)
    {
        var random = new Random(5);
        return
        [
            .. Enumerable.Range(0, count).Select(_ =>
            {
                (int a, int b) = (random.Next(11, 90), random.Next(11, 90));
                int[] offsets = [0, .. new[] { -10, -2, -1, 1, 2, 10 }.OrderBy(_ => random.Next()).Take(3)];
                random.Shuffle(offsets);
                return new MultipleChoiceQuestion(
                    FormattableString.Invariant($"{a} + {b} ="),
                    [.. offsets.Select(offset => FormattableString.Invariant($"{a + b + offset}"))], Array.IndexOf(offsets, 0));
            }),
        ];
    }

    private static string Fact(Random random)
    {
        (int a, int b) = (random.Next(2, 90), random.Next(2, 60));
        return FormattableString.Invariant(random.Next(2) == 0 ? $"{a} + {b} = {a + b}." : (FormattableString)$"{a + b} - {b} = {a}.");
    }

    private static string Story(Random random)
    {
        bool isGirl = random.Next(2) == 0;
        string[] names = isGirl ? s_girls : s_boys;
        (string name, string she, string items) = (
            names[random.Next(names.Length)], isGirl ? "She" : "He", s_items[random.Next(s_items.Length)]);
        (int a, int b) = (random.Next(5, 60), random.Next(2, 40));
        return FormattableString.Invariant(random.Next(2) == 0
            ? $"{name} has {a} {items}. {she} buys {b} more. {a} + {b} = {a + b}, so {name} has {a + b} {items} now."
            : (FormattableString)
                $"{name} has {a + b} {items}. {she} loses {b} of them. {a + b} - {b} = {a}, so {name} has {a} {items} left.");
    }
}

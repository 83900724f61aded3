using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa;

namespace QuickStart;

/// <summary>What a model answers to the rows that are asked, and how good that is.</summary>
internal sealed class Answers(IReadOnlyList<Question> asked, IReadOnlyList<string> texts)
{
    public IReadOnlyList<string> Texts => texts;

    public int Right { get; } = asked.Zip(texts).Count(pair => pair.First.IsRight(pair.Second));

    /// <summary>The model ended its text with the first token.</summary>
    public int Empty { get; } = texts.Count(text => text.Length == 0);

    public string Score => FormattableString.Invariant(
        $"{Right} of {asked.Count} ({100.0 * Right / Math.Max(1, asked.Count):F1} %), exact match of the final answer");

    /// <summary>Asks all questions, under a progress bar.</summary>
    /// <param name="model">Who is asked.</param>
    /// <param name="data">The questions, as the model reads them.</param>
    /// <param name="asked">The same, with what the answers should be.</param>
    /// <param name="when">What stands beside the bar.</param>
    public static Answers Of(ITransformer model, IDataView data, IReadOnlyList<Question> asked, string when) =>
        ProgressBar.Show($"{when}: asking", bar =>
        {
            // Transform is lazy: the texts come batch by batch.
            List<string> texts = [];
            foreach (string text in model.Transform(data).GetColumn<string>("Reply"))
            {
                texts.Add(text);
                bar.Move(texts.Count, asked.Count, $"{when}: {texts.Count} of {asked.Count} asked");
            }

            return new Answers(asked, texts);
        });
}

using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Data;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace ReproducePaper;

/// <summary>
/// What huggingface/peft's method_comparison/MetaMathQA does otherwise than the paper: prompt and response are one text, without a blank
/// between them; every token is learnt; rows come in the file's order, in buckets from long to short; the longest row of a batch learns no
/// end.
/// </summary>
internal static class PeftProtocol
{
    public static PromptTemplate Template { get; } = PromptTemplate.Format("Question: {prompt} Think step by step.\nAnswer:");

    public static void Apply(Options options)
    {
        options.RowOrder = RowOrder.SortedBuckets;
        options.TrainedTokens = TrainedTokens.All;
        options.EndToken = EndToken.WherePadded;

        // A row is one text, cut at their sum: 768.
        (options.MaxPromptLength, options.MaxResponseLength) = (512, 256);
    }
}

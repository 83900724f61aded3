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
        // Their LoRA: alpha is twice the rank, in two projections of a layer.
        if (options.Method is FineTuningMethod.Lora or FineTuningMethod.Dora or FineTuningMethod.RsLora)
        {
            options.Alpha = 2 * options.Rank;
        }

        if (options.HasEffect(nameof(options.TargetModules)))
        {
            options.TargetModules = ["q_proj", "v_proj"];
        }

        options.RowOrder = RowOrder.SortedBuckets;
        options.TrainedTokens = TrainedTokens.All;
        options.EndToken = EndToken.WherePadded;

        // A row is one text, cut at their sum: 768.
        (options.MaxPromptLength, options.MaxResponseLength) = (512, 256);
    }
}

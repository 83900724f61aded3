namespace Microsoft.ML.Sorsa.Data;

/// <summary>One row in tokens: the prompt, then the response that is learnt.</summary>
/// <param name="Ids">Prompt and response.</param>
/// <param name="PromptLength">How many of them are the prompt; they carry no label.</param>
internal sealed record SupervisedExample(int[] Ids, int PromptLength)
{
    /// <summary>The tokens that the loss counts: the response. (Without a prompt the first has nothing to be predicted from.)</summary>
    public int LabelCount => Ids.Length - Math.Max(PromptLength, 1);
}

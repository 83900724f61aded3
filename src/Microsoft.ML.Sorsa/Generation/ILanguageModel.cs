using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>A model that continues token ids: all that generation knows of it.</summary>
internal interface ILanguageModel
{
    /// <summary>Ids go from 0 to this − 1.</summary>
    int VocabularySize { get; }

    /// <summary>How many tokens a text may have, prompt and answer together.</summary>
    int MaxPositions { get; }

    /// <summary>Ids that end a text, as the model's own configuration names them.</summary>
    IReadOnlyList<int> EndTokenIds { get; }

    /// <summary>Begins to continue texts that are decoded together.</summary>
    /// <param name="prompts">Token ids, at least one row of at least one each.</param>
    /// <param name="maxNewTokens">How many scores are asked for at most.</param>
    IDecoding Start(IReadOnlyList<int[]> prompts, int maxNewTokens);
}

/// <summary>Texts that are decoded together, token by token.</summary>
internal interface IDecoding : IDisposable
{
    /// <summary>
    /// Reads the prompts: the scores of each row's first new token, float32 [B, vocabulary] in main memory; the caller owns them.
    /// </summary>
    Tensor Prefill();

    /// <summary>Reads one more token of every row and gives the scores of the one behind it, as <see cref="Prefill"/> does.</summary>
    /// <param name="ids">[B]; a row that is finished takes any id.</param>
    /// <param name="finished">[B]: rows whose token is padding and whose scores are not used.</param>
    Tensor Next(long[] ids, bool[] finished);
}

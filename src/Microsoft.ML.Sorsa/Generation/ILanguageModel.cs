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

    /// <summary>
    /// Whether a row's scores are its own, whatever is decoded beside it. Where they are not, unrelated texts are decoded one by one.
    /// </summary>
    bool RowsAreIndependent => true;

    /// <summary>Begins to continue texts that are decoded together; there are none yet.</summary>
    /// <param name="room">For how many tokens behind the longest text memory is taken at a time; at least 0.</param>
    /// <param name="prefixes">Where keys and values of beginnings of texts are kept; null: nowhere.</param>
    IDecoding Start(int room, PrefixCache? prefixes = null);
}

/// <summary>Texts that are decoded together, token by token. They join and leave between two tokens.</summary>
internal interface IDecoding : IDisposable
{
    /// <summary>
    /// Reads prompts together; they join as the last rows. The scores of each one's first new token, float32 [prompts, vocabulary] in main
    /// memory; the caller owns them.
    /// </summary>
    /// <param name="prompts">Token ids, at least one prompt of at least one each.</param>
    Tensor Add(IReadOnlyList<int[]> prompts);

    /// <summary>Begins to read one prompt apart from the rows; <see cref="Join"/> makes it one.</summary>
    /// <param name="prompt">Token ids, at least one.</param>
    IPromptReading Begin(int[] prompt);

    /// <summary>A prompt that was read to its end joins as the last row, and is used up.</summary>
    void Join(IPromptReading prompt);

    /// <summary>Reads one more token of every row and gives the scores of the one behind it, as <see cref="Add"/> does.</summary>
    /// <param name="ids">[B].</param>
    Tensor Next(long[] ids);

    /// <summary>Rows leave; those behind them move up.</summary>
    /// <param name="rows">Their places, in ascending order, each with the tokens that were read of it where they shall be kept.</param>
    void Remove(IReadOnlyList<(int Row, int[]? Kept)> rows);
}

/// <summary>One prompt that is read piece by piece.</summary>
internal interface IPromptReading : IDisposable
{
    /// <summary>Tokens at its beginning that need not be read: their keys and values were kept.</summary>
    int KeptTokens { get; }

    /// <summary>Reads on.</summary>
    /// <param name="tokens">How many tokens at most, at least one; what was not read of them is taken off.</param>
    /// <returns>At the end the scores of the first new token, [1, vocabulary], as <see cref="IDecoding.Add"/>'s; before it null.</returns>
    Tensor? Read(ref int tokens);
}

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
    /// <summary>Begins to read prompts together, apart from the rows.</summary>
    /// <param name="prompts">Token ids, at least one prompt of at least one each.</param>
    /// <param name="tokens">Of the first prompts those are taken that are well read together in so many tokens, one at least; null: all.
    /// </param>
    IPromptReading Begin(IReadOnlyList<int[]> prompts, int? tokens = null);

    /// <summary>Prompts that were read to their end join as the last rows. It is used up.</summary>
    void Join(IPromptReading prompts);

    /// <summary>Reads one more token of every row and gives the scores of the one behind it, as <see cref="IPromptReading.Read"/> does.
    /// </summary>
    /// <param name="ids">[B].</param>
    Tensor Next(long[] ids);

    /// <summary>Rows leave; those behind them move up.</summary>
    /// <param name="rows">Their places, in ascending order, each with the tokens that were read of it where they shall be kept.</param>
    void Remove(IReadOnlyList<(int Row, int[]? Kept)> rows);
}

/// <summary>Prompts that are read together, piece by piece.</summary>
internal interface IPromptReading : IDisposable
{
    /// <summary>For each prompt how many tokens at its beginning need not be read, because their keys and values were kept.</summary>
    IReadOnlyList<int> KeptTokens { get; }

    /// <summary>Reads on.</summary>
    /// <param name="tokens">How many tokens at most, all prompts together; one of each is always read.</param>
    /// <returns>
    /// At the end the scores of each prompt's first new token, float32 [prompts, vocabulary] where they were computed, which the caller
    /// owns; before it null.
    /// </returns>
    Tensor? Read(int tokens);
}

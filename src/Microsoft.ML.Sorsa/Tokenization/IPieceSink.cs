namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// A stage on the way from text to ids: takes a piece of text, and either cuts it further for the next stage or encodes it. Stages hold no
/// state, so that one chain serves all threads.
/// </summary>
internal interface IPieceSink
{
    /// <summary>Appends the ids of <paramref name="piece"/>, which is not empty and has no lone surrogates.</summary>
    void Accept(ReadOnlySpan<char> piece, List<int> ids);
}

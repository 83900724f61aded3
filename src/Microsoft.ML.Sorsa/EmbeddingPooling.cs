namespace Microsoft.ML.Sorsa;

/// <summary>From the hidden states of a text's tokens to one vector.</summary>
public enum EmbeddingPooling
{
    /// <summary>Their mean.</summary>
    Mean,

    /// <summary>That of the last token, the only one which has seen the whole text.</summary>
    LastToken,
}

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>Why a text ended.</summary>
internal enum StopReason
{
    /// <summary>The model gave an end token.</summary>
    EndToken,

    /// <summary>One of <see cref="GenerationOptions.StopStrings"/> was complete.</summary>
    StopString,

    /// <summary><see cref="GenerationOptions.MaxNewTokens"/>, or the model's positions, are used up.</summary>
    Length,
}

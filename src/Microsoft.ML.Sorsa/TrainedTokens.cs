namespace Microsoft.ML.Sorsa;

/// <summary>Which tokens of a row the loss counts.</summary>
public enum TrainedTokens
{
    /// <summary>The response: the model learns to answer, and not what is asked.</summary>
    Response,

    /// <summary>
    /// Prompt and response, its template included: the model learns the whole text, as in pretraining. Both are tokenised as one text, in
    /// which a token may span the border, and the text is cut at its end, at MaxPromptLength + MaxResponseLength tokens. Every token but
    /// the first carries a label. For little data of a new kind of text, and for comparing with a program that does so, such as PEFT's
    /// method comparison. Prediction is not affected: a prompt is tokenised alone there, and cut at MaxPromptLength.
    /// </summary>
    All,
}

/// <summary>Which rows learn where a response ends.</summary>
public enum EndToken
{
    /// <summary>Every row whose end was not cut: an end token follows the response, once, also where it brings its own.</summary>
    Always,

    /// <summary>
    /// No row: nothing is put behind a response, and what it ends with itself is a token like any other. A model that never saw an end goes
    /// on until its answer has as many tokens as it may have. For responses that bring what ends them.
    /// </summary>
    Never,

    /// <summary>
    /// The rows that are padded: within a batch those shorter than the longest keep their end token; the longest, all of them in a tie,
    /// have none. So it comes out where a program pads with the end token and leaves one of it a label, as PEFT's method comparison does.
    /// Validation rows likewise, in batches by length. BatchSize then decides what is learnt; it must be above 1, since a row alone learns
    /// no end.
    /// </summary>
    WherePadded,
}

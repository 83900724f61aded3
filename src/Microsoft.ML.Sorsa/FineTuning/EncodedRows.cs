using Microsoft.ML.Sorsa.Data;

namespace Microsoft.ML.Sorsa.FineTuning;

/// <summary>
/// Rows in tokens, made once for each template, pair of lengths and choice of what is learnt, and shared by trainings that run at the same
/// time.
/// </summary>
internal sealed class EncodedRows
{
    private readonly Lock _turn = new();
    private readonly Dictionary<(object, object?, Settings), (EncodedExamples Train, EncodedExamples? Validation)> _known = [];

    /// <summary>Rows that were turned into tokens.</summary>
    public long Encoded { get; private set; }

    /// <summary>Rows that were in tokens already.</summary>
    public long Reused { get; private set; }

    /// <summary>The examples of two lists of rows; the lists themselves are the key, not what is in them.</summary>
    /// <param name="trainData">Rows to train on.</param>
    /// <param name="validationData">Others; null: none.</param>
    /// <param name="settings">What decides the tokens.</param>
    /// <param name="encode">From rows, the name of their argument, and for others those that are trained on, to examples.</param>
    public (EncodedExamples Train, EncodedExamples? Validation) Of(
        IReadOnlyList<(string Prompt, string Response)> trainData,
        IReadOnlyList<(string Prompt, string Response)>? validationData,
        Settings settings,
        Func<IReadOnlyList<(string Prompt, string Response)>, string, EncodedExamples?, EncodedExamples> encode)
    {
        lock (_turn)
        {
            int rows = trainData.Count + (validationData?.Count ?? 0);
            if (_known.TryGetValue((trainData, validationData, settings), out var known))
            {
                Reused += rows;
                return known;
            }

            EncodedExamples train = encode(trainData, nameof(trainData), null);
            known = (train, validationData is null ? null : encode(validationData, nameof(validationData), train));
            Encoded += rows;
            _known.Add((trainData, validationData, settings), known);
            return known;
        }
    }

    /// <summary>What decides the tokens of a row.</summary>
    internal readonly record struct Settings(
        PromptTemplate Template, int MaxPromptLength, int MaxResponseLength, TrainedTokens TrainedTokens, EndToken EndToken)
    {
        public static Settings Of(FineTuningSettings settings) => new(
            settings.PromptTemplate, settings.MaxPromptLength, settings.MaxResponseLength, settings.TrainedTokens, settings.EndToken);
    }
}

using System.Globalization;

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>
/// Many prompts of one caller, decoded together: where a text is finished, that of the next prompt takes its place. The answers come in the
/// order of the prompts.
/// </summary>
/// <param name="model">Not owned.</param>
/// <param name="owner">Whose it is, for errors.</param>
internal sealed class PromptSequence(SharedModel model, Type owner)
{
    /// <summary>Prompts that are read beyond a batch, so that it stays full while an answer that takes long is waited for.</summary>
    private const int ReadAhead = 128;

    /// <summary>What is wrong with one of the prompts is said before anything is generated.</summary>
    /// <param name="prompts">Without their template.</param>
    /// <exception cref="ArgumentException">One leaves no room in the model's positions, or cannot be read.</exception>
    public void Verify(IEnumerable<string> prompts)
    {
        foreach ((int index, string prompt) in prompts.Index())
        {
            _ = CreateRow(prompt, index, out ArgumentException? refusal);
            if (refusal is not null)
            {
                throw refusal;
            }
        }
    }

    /// <summary>The answers, all with the adapter that is in use when the first is asked for.</summary>
    /// <param name="prompts">Without their template.</param>
    /// <param name="cancellationToken">Checked before every token.</param>
    /// <exception cref="ArgumentException">One is refused: behind the answers to those before it.</exception>
    public IEnumerable<string> Answer(IEnumerable<string> prompts, CancellationToken cancellationToken)
    {
        string? adapter = model.Adapters().Active;
        int batchSize = model.Generation.BatchSize;
        using var batching = new ContinuousBatching(model, batchSize, keptTokens: 0, owner);
        var underWay = new Queue<GenerationRequest>();
        ArgumentException? refusal = null;
        foreach ((int index, string prompt) in prompts.Index())
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (CreateRow(prompt, index, out refusal) is not { } row)
            {
                break;
            }

            underWay.Enqueue(batching.Start(row, () => adapter, cancellationToken));
            if (underWay.Count == batchSize + ReadAhead)
            {
                yield return Text(underWay.Dequeue());
            }
        }

        while (underWay.TryDequeue(out GenerationRequest? request))
        {
            yield return Text(request);
        }

        if (refusal is not null)
        {
            throw refusal;
        }
    }

    private static string Text(GenerationRequest request) => string.Concat(request.Pieces().ToBlockingEnumerable());

    private GenerationRow? CreateRow(string prompt, int index, out ArgumentException? refusal)
    {
        string? problem = "is null. Leave it out.";
        GenerationRow? row = prompt is null ? null : model.Generator.TryCreateRow(prompt, out problem);
        refusal = problem is null
            ? null
            : new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"Prompt {index + 1} {problem}"));
        return row;
    }
}

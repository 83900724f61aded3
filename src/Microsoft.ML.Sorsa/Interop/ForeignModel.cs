using System.Globalization;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Interop;

/// <summary>
/// A model object of a class that is not ours, as a function from token ids to logits. What it gives is checked at every call.
/// </summary>
internal sealed class ForeignModel : ILanguageModel, ITrainedModel
{
    private readonly Func<Tensor, Tensor?> _forward;
    private readonly string _source;
    private readonly CacheFields _caches;

    private ForeignModel(nn.Module module, Func<Tensor, Tensor>? forward, int? maxPositions, IReadOnlyList<int>? endTokenIds)
    {
        Module = module;
        _source = forward is null ? $"The forward of {module.GetType()}" : "The delegate";
        _forward = forward ?? LogitsBinding.Of(module);
        _caches = new CacheFields(module);
        Device = module.parameters().Concat(module.buffers()).FirstOrDefault()?.device ?? CPU;
        MaxPositions = maxPositions ?? PositionsOf(module) ?? int.MaxValue;
        EndTokenIds = endTokenIds ?? [];

        // One token is read at once, so that a model that does not fit is refused before any work.
        var places = new TensorPlaces(module);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        VocabularySize = checked((int)Logits(tensor(new long[] { 0 }, [1, 1], device: Device)).shape[2]);
        places.Verify();
    }

    /// <summary>The user's own object.</summary>
    public nn.Module Module { get; }

    /// <summary>Where its first weight lies, and where ids are made for it.</summary>
    public Device Device { get; }

    public int VocabularySize { get; }

    /// <summary>Those that its configuration object names, as ML.NET GenAI's do; without one no end is known.</summary>
    public int MaxPositions { get; }

    /// <summary>A model object names none: they are its tokenizer's, or its folder's.</summary>
    public IReadOnlyList<int> EndTokenIds { get; }

    /// <summary>Finds out how a model is called, and calls it with one token.</summary>
    /// <param name="module">Not owned, and in evaluation mode where it matters.</param>
    /// <param name="forward">
    /// From token ids int64 [B, T] to logits [B, T, vocabulary]; null: by the shape of the class, see <see cref="LogitsBinding"/>.
    /// </param>
    /// <param name="maxPositions">Tokens that a text may have; null: what the object says itself.</param>
    /// <param name="endTokenIds">Ids that end a text, of whoever knows them; null: none.</param>
    /// <exception cref="NotSupportedException">
    /// Without a delegate, the class has no shape that is understood; its weights move in forward.
    /// </exception>
    /// <exception cref="ArgumentException">What it gives are no logits.</exception>
    public static ForeignModel Bind(
        nn.Module module, Func<Tensor, Tensor>? forward = null, int? maxPositions = null, IReadOnlyList<int>? endTokenIds = null) =>
        new(module, forward, maxPositions, endTokenIds);

    /// <summary>
    /// Logits [B, T, vocabulary] of ids int64 [B, T], with no memory of the calls before; in the caller's gradient mode and dispose scope.
    /// </summary>
    /// <exception cref="ArgumentException">What the model gives are no logits.</exception>
    public Tensor Logits(Tensor ids)
    {
        _caches.Clear();
        Tensor logits = _forward(ids)
            ?? throw new ArgumentException($"{_source} gave null for logits. It must give them whenever it is given token ids.");
        (long rows, long tokens) = (ids.shape[0], ids.shape[1]);
        bool fits = logits.shape is [long batch, long length, long scores] && (batch, length) == (rows, tokens)
            && (VocabularySize > 0 ? scores == VocabularySize : scores > 0);
        if (!fits || !logits.is_floating_point())
        {
            string vocabulary = VocabularySize > 0 ? VocabularySize.ToString(CultureInfo.InvariantCulture) : "vocabulary";
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"{_source} gave {logits.dtype} [{string.Join(", ", logits.shape)}] for token ids [{rows}, {tokens}]; logits must be " +
                $"floating-point numbers [{rows}, {tokens}, {vocabulary}], one row for each token. " +
                $"Give a delegate Func<Tensor, Tensor> that returns these."));
        }

        return logits;
    }

    public IReadOnlyList<KeyValuePair<string, Tensor>> NamedWeights =>
        [.. Module.named_parameters().Select(named => KeyValuePair.Create(named.name, (Tensor)named.parameter))
            .Concat(Module.named_buffers().Select(named => KeyValuePair.Create(named.name, named.buffer)))
            .Where(named => named.Value.is_floating_point()).OrderBy(named => named.Key, StringComparer.Ordinal)];

    /// <inheritdoc/>
    public bool GradientCheckpointing
    {
        get => false;
        set
        {
            if (value)
            {
                throw new NotSupportedException($"The layers of {Module.GetType()} are its own: its gradients cannot be checkpointed.");
            }
        }
    }

    /// <summary>The logits themselves: what they are made from stays inside a class that is not ours.</summary>
    public Tensor Hidden(Tensor inputIds, Tensor positions)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(Logits(inputIds).flatten(0, 1).index_select(0, positions));
    }

    public Tensor Head(Tensor hidden) => hidden.alias();

    public void train(bool on = true) => Module.train(on);

    public IDecoding Start(int room, PrefixCache? prefixes = null) => new ForeignDecoding(this);

    /// <summary>max_position_embeddings, by the name that it has in the configuration classes of ML.NET GenAI.</summary>
    private static int? PositionsOf(nn.Module module)
    {
        IEnumerable<int> positions =
            from part in ModuleFields.Modules(module)
            from field in ModuleFields.Of(part)
            let value = field.GetValue(part)
            let property = value?.GetType().GetProperty("MaxPositionEmbeddings", typeof(int))
            where property is not null
            select (int)property.GetValue(value)!;
        return positions.Where(count => count > 0).Cast<int?>().FirstOrDefault();
    }
}

/// <summary>Decodes without a cache: each row alone, its whole text anew for every token. Slow, and right for any model.</summary>
internal sealed class ForeignDecoding(ForeignModel model) : IDecoding
{
    private readonly List<List<long>> _texts = [];

    public IPromptReading Begin(IReadOnlyList<int[]> prompts, int? tokens = null) => new Reading(this, prompts);

    public void Join(IPromptReading prompts) => _texts.AddRange(((Reading)prompts).Texts);

    public Tensor Next(long[] ids)
    {
        for (int row = 0; row < ids.Length; row++)
        {
            _texts[row].Add(ids[row]);
        }

        return Scores(_texts);
    }

    public void Remove(IReadOnlyList<(int Row, int[]? Kept)> rows)
    {
        foreach ((int row, _) in rows.Reverse())
        {
            _texts.RemoveAt(row);
        }
    }

    public void Dispose()
    {
        // The texts are lists; the model is the user's.
    }

    /// <summary>What follows the last token of every text.</summary>
    private Tensor Scores(IReadOnlyList<List<long>> texts)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();

        // Whatever mode the user has it in, an answer has no dropout in it.
        bool training = model.Module.training;
        model.train(false);
        try
        {
            return scope.MoveToOuter(ScoresInEvaluation(texts));
        }
        finally
        {
            model.train(training);
        }
    }

    private Tensor ScoresInEvaluation(IReadOnlyList<List<long>> texts)
    {
        Tensor scores = zeros(texts.Count, model.VocabularySize, ScalarType.Float32);
        for (int row = 0; row < texts.Count; row++)
        {
            using var one = NewDisposeScope();
            Tensor ids = tensor(texts[row].ToArray(), [1, texts[row].Count], device: model.Device);
            scores[row].copy_(model.Logits(ids)[0, -1]);
        }

        return scores;
    }

    /// <summary>There are no pieces: the whole text is read for every token anyway.</summary>
    private sealed class Reading(ForeignDecoding decoding, IReadOnlyList<int[]> prompts) : IPromptReading
    {
        public List<long>[] Texts { get; } = [.. prompts.Select(prompt => prompt.Select(id => (long)id).ToList())];

        public IReadOnlyList<int> KeptTokens => new int[Texts.Length];

        public Tensor? Read(int tokens) => decoding.Scores(Texts);

        public void Dispose()
        {
            // Lists.
        }
    }
}

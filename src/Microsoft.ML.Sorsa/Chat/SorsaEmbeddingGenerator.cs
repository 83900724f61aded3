using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Chat;

/// <summary>A decoder's final hidden states as vectors of texts.</summary>
internal sealed class SorsaEmbeddingGenerator : IEmbeddingGenerator<string, Embedding<float>>
{
    private readonly SharedModel _model;
    private readonly object _transformer;
    private readonly CausalLM _network;
    private readonly EmbeddingPooling _pooling;
    private readonly EmbeddingGeneratorMetadata _metadata;
    private volatile bool _disposed;

    /// <param name="model">Not owned.</param>
    /// <param name="transformer">What <see cref="GetService"/> gives by its type.</param>
    /// <param name="pooling">From a text's tokens to one vector.</param>
    /// <param name="modelId">What the model is called.</param>
    /// <exception cref="NotSupportedException">The model is an object of the user's own class.</exception>
    public SorsaEmbeddingGenerator(SharedModel model, object transformer, EmbeddingPooling pooling, string modelId)
    {
        (_model, _transformer, _pooling) = (model, transformer, pooling);
        _network = (model.Model as CachedModel)?.Network ?? throw new NotSupportedException(
            "The model is an object of your own class, whose hidden states this library does not see. Open the model's folder instead: "
            + "mlContext.Sorsa().LoadModel.");
        _metadata = new EmbeddingGeneratorMetadata("sorsa", providerUri: null, modelId, _network.Spec.HiddenSize);
    }

    public Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        ObjectDisposedException.ThrowIf(_disposed, this);
        Refuse(options);
        int[][] texts = [.. values.Select(Encode)];
        return Task.Run(() => Generate(texts, cancellationToken), cancellationToken);
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null : Array.Find([this, _transformer, _metadata], serviceType.IsInstanceOfType);
    }

    /// <summary>The model is the caller's, and stays.</summary>
    public void Dispose() => _disposed = true;

    private void Refuse(EmbeddingGenerationOptions? options)
    {
        if (options?.Dimensions is { } dimensions && dimensions != _network.Spec.HiddenSize)
        {
            throw new NotSupportedException(
                FormattableString.Invariant($"EmbeddingGenerationOptions.Dimensions is {dimensions}; this model's vectors have ")
                + FormattableString.Invariant($"{_network.Spec.HiddenSize}. Leave it out."));
        }

        if (options?.ModelId is { } id && id != _metadata.DefaultModelId)
        {
            throw new ArgumentException(
                $"EmbeddingGenerationOptions.ModelId is \"{id}\"; this generator has {_metadata.DefaultModelId}. Leave it out.",
                nameof(options));
        }

        if (options?.AdditionalProperties is { Count: > 0 } others)
        {
            throw new NotSupportedException(
                $"EmbeddingGenerationOptions.AdditionalProperties has {NameList.Join([.. others.Keys])}; this generator knows none.");
        }
    }

    /// <summary>The text as it is, without a prompt template.</summary>
    private int[] Encode(string text, int index)
    {
        ArgumentNullException.ThrowIfNull(text);
        ITextTokenizer tokenizer = _model.Prompts.Tokenizer;
        int[] ids = tokenizer.Encode(text, addSpecialTokens: true);
        int positions = _network.Spec.MaxPositions;
        return ids.Length == 0
            ? throw new ArgumentException($"Text {index} has no tokens: there is nothing to take a vector of. Leave it out.", nameof(text))
            : ids.Length <= positions
            ? ids
            : throw new ArgumentException(FormattableString.Invariant(
                $"Text {index} has {ids.Length} tokens; the model has {positions} positions. Cut it into pieces of that length."),
                nameof(text));
    }

    private GeneratedEmbeddings<Embedding<float>> Generate(int[][] texts, CancellationToken cancellationToken)
    {
        var vectors = new Embedding<float>[texts.Length];
        string? adapter = _model.Adapters().Active;

        // Similar lengths together, so that little is padding.
        IOrderedEnumerable<int> places = Enumerable.Range(0, texts.Length).OrderByDescending(at => texts[at].Length);
        foreach (int[] batch in places.Chunk(_model.Generation.BatchSize))
        {
            cancellationToken.ThrowIfCancellationRequested();
            _model.Take(adapter, () =>
            {
                foreach ((int at, float[] vector) in batch.Zip(Vectors([.. batch.Select(at => texts[at])])))
                {
                    vectors[at] = new Embedding<float>(vector)
                    {
                        ModelId = _metadata.DefaultModelId,
                        CreatedAt = DateTimeOffset.UtcNow,
                    };
                }
            });
        }

        long tokens = texts.Sum(text => (long)text.Length);
        return new GeneratedEmbeddings<Embedding<float>>(vectors)
        {
            Usage = new UsageDetails { InputTokenCount = tokens, TotalTokenCount = tokens },
        };
    }

    private float[][] Vectors(int[][] texts)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var ids = new long[texts.Length, texts.Max(text => text.Length)];
        foreach ((int row, int[] text) in texts.Index())
        {
            foreach ((int column, int id) in text.Index())
            {
                ids[row, column] = id;
            }
        }

        // Padded on the right: no token sees what comes behind it.
        Tensor hidden = _network.Forward(_network.Embed(tensor(ids, device: _network.Device))).to(ScalarType.Float32);
        return [.. texts.Select((text, row) => (_pooling == EmbeddingPooling.LastToken
            ? hidden[row, text.Length - 1]
            : hidden[row].narrow(0, 0, text.Length).mean([0])).cpu().data<float>().ToArray())];
    }
}

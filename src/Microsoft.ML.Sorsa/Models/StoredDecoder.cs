using Microsoft.ML.Sorsa.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>
/// A checkpoint whose names and shapes are those that a configuration asks for. Only headers are looked at, and the values of what the
/// model has no use for: nothing is left out because of its name alone.
/// </summary>
/// <param name="Config">The configuration, without tied embeddings where the checkpoint holds another head.</param>
/// <param name="Layout">What the model consists of.</param>
/// <param name="Checkpoint">Exactly that.</param>
internal sealed record StoredDecoder(DecoderConfig Config, DecoderLayout Layout, Checkpoint Checkpoint)
{
    private const string Frequencies = ".rotary_emb.inv_freq";

    /// <summary>What the weights are stored in: the type of the largest.</summary>
    public ScalarType StoredType => Checkpoint.StoredType;

    /// <summary>Compares a checkpoint with a configuration.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="checkpoint">Gets the names that the model asks for, and loses what it has no use for.</param>
    /// <exception cref="InvalidDataException">They do not fit together; lists what does not.</exception>
    public static StoredDecoder Match(DecoderConfig config, Checkpoint checkpoint)
    {
        // Before a list as long as the configuration claims is made.
        if (config.Spec.LayerCount > checkpoint.Names.Count)
        {
            throw new InvalidDataException(
                $"The configuration has {config.Spec.LayerCount} layers (num_hidden_layers), and its checkpoint "
                + $"{checkpoint.Names.Count} tensors in all, less than one a layer. "
                + "Use the config.json that was saved with these weights.");
        }

        DecoderLayout layout = DecoderWithHead.Layout(config.Spec);
        checkpoint.Rename(new HashSet<string>([.. layout.Tensors.Keys, DecoderWithHead.HeadWeight], StringComparer.Ordinal));
        if (config.Spec.TieWordEmbeddings && !checkpoint.Names.Contains(DecoderWithHead.EmbeddingWeight)
            && checkpoint.Names.Contains(DecoderWithHead.HeadWeight))
        {
            // What shares memory is stored once, by safetensors' own save_model under the name that comes first in the alphabet.
            checkpoint.Rename(DecoderWithHead.HeadWeight, DecoderWithHead.EmbeddingWeight);
        }

        if (config.Spec.TieWordEmbeddings && checkpoint.Names.Contains(DecoderWithHead.HeadWeight))
        {
            if (AreSame(checkpoint, DecoderWithHead.HeadWeight, DecoderWithHead.EmbeddingWeight))
            {
                checkpoint.Drop(DecoderWithHead.HeadWeight);
            }
            else
            {
                // As transformers since version 5: a head that was stored and differs was trained, whatever the flag says.
                config = config.Untied();
                layout = DecoderWithHead.Layout(config.Spec);
            }
        }

        // Masks and counters of other programs are no weights, whatever they are called; floating-point numbers might be.
        foreach (string name in checkpoint.Names.Where(name => !layout.Tensors.ContainsKey(name)).ToArray())
        {
            if (!checkpoint.IsWeight(name) || checkpoint.Tensors[name].numel() == 0 || IsRotary(config.Spec, checkpoint, name))
            {
                checkpoint.Drop(name);
            }
        }

        bool hasNoHead = !config.Spec.TieWordEmbeddings && !checkpoint.Names.Contains(DecoderWithHead.HeadWeight);
        checkpoint.Verify(layout.Tensors, hasNoHead
            ? "Where the head is the embedding, as in a model with tied weights, set tie_word_embeddings to true in config.json."
            : null);
        return new StoredDecoder(config, layout, checkpoint);
    }

    /// <summary>The same shape and the same values; false where one of them cannot be compared, which the shapes' check explains.</summary>
    private static bool AreSame(Checkpoint checkpoint, string one, string other)
    {
        if (checkpoint.Tensors.GetValueOrDefault(other) is not { } b)
        {
            return false;
        }

        using var scope = NewDisposeScope();
        Tensor a = checkpoint.Tensors[one];
        return a.shape.SequenceEqual(b.shape) && checkpoint.IsWeight(one) && checkpoint.IsWeight(other)
            && a.eq(b).all().item<bool>();
    }

    /// <summary>Old checkpoints hold the rotary frequencies of every layer, which the configuration gives as well.</summary>
    /// <exception cref="InvalidDataException">It gives others.</exception>
    private static bool IsRotary(DecoderSpec spec, Checkpoint checkpoint, string name)
    {
        if (!name.EndsWith(Frequencies, StringComparison.Ordinal))
        {
            return false;
        }

        using var scope = NewDisposeScope();
        double[] stored = checkpoint.Tensors[name].to(ScalarType.Float64).flatten().data<double>().ToArray();
        RopeConfig[] readings = [spec.Rope, spec.Rope with { Type = RopeType.Default }];
        if (readings.Any(rope => Fit(stored, new RotaryEmbedding(rope).BaseFrequencies())))
        {
            return true;
        }

        string theta = stored.Length > 1 && stored[1] is > 0 and < 1
            ? FormattableString.Invariant($"; a rope_theta of {Math.Pow(stored[1], -spec.Rope.HeadDim / 2.0):G6} would give such ones")
            : "";
        throw new InvalidDataException(FormattableString.Invariant(
            $"'{name}' holds other rotary frequencies than config.json gives (rope_theta {spec.Rope.Theta}){theta}. ")
            + "Set rope_theta to what the model was trained with, or take the tensor out of the checkpoint.");

        // Rounded to what they are stored in: bfloat16 keeps 8 bits; float16 nothing below 6e-8.
        static bool Fit(double[] stored, double[] computed) => stored.Length == computed.Length
            && stored.Zip(computed).All(pair => Math.Abs(pair.First - pair.Second) <= (pair.Second / 128) + 6e-8);
    }
}

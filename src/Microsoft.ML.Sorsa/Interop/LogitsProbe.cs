using System.Globalization;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Interop;

/// <summary>
/// A model object's logits beside those of our decoder over the same tensors, which computes in float32 whatever their type is, so that
/// the object's roundings are the only ones. They agree where the largest relative difference of a token's logits,
/// ‖object − ours‖ / ‖ours‖, is at most √ε of the object's type, half of its digits: 0.0003 in float32, 0.09 in bfloat16.
/// And where what is known of other classes explains the object's logits better than its configuration does, they differ, however little
/// that is for a short text.
/// </summary>
internal sealed class LogitsProbe(ForeignModel theirs, CausalLM ours)
{
    /// <summary>The tokens of the probe, where nothing asks for more.</summary>
    private const int ProbeLength = 128;

    /// <summary>Reads a text with both.</summary>
    /// <param name="longestText">Tokens of the longest text that they are needed for: a shorter window is looked over.</param>
    /// <returns>Null: they agree; otherwise how they differ and what explains it, without a full stop.</returns>
    public string? Difference(int longestText)
    {
        if (theirs.VocabularySize != ours.Spec.VocabularySize)
        {
            return string.Create(CultureInfo.InvariantCulture,
                $"it gives logits for {theirs.VocabularySize} tokens, and config.json has {ours.Spec.VocabularySize} (vocab_size)");
        }

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor ids = Ids(longestText), logits = InEvaluation(ids);
        Distance own = Measure(logits, ours, ids);
        (string Name, Distance Distance)[] others =
        [
            .. Variants(ours.Spec, (int)ids.shape[1]).Select(variant =>
            {
                using CausalLM other = ours.Share(variant.Spec);
                return (variant.Name, Measure(logits, other, ids));
            }),
        ];

        // By a clear margin: below it stand settings that change nothing yet in so short a text.
        (string Name, Distance Distance)? better = others
            .Where(other => other.Distance.Squares * 1.01 < own.Squares)
            .Select(other => ((string, Distance)?)other)
            .MinBy(other => other!.Value.Item2.Squares);
        double limit = Math.Sqrt(Epsilon(ours.Type));
        if (own.Relative <= limit && better is null)
        {
            return null;
        }

        string cause = better is { } variant && variant.Distance.Relative <= limit
            ? $"they are those of a decoder {variant.Name}: so its class computes"
            : "its class computes otherwise, or it was made with other settings (rope_theta, rms_norm_eps, hidden_act), or its head is "
                + "not what tie_word_embeddings says";
        return string.Create(CultureInfo.InvariantCulture,
            $"over {ids.shape[1]} tokens its logits differ by up to {own.Largest:G3} (relatively {own.Relative:G2}, and {limit:G2} is ")
            + $"what {ours.Type} explains) from those that config.json asks for; {cause}";
    }

    /// <summary>What classes are known to do: GenAI's ignore rope_scaling, and their window is a token too wide.</summary>
    private static IEnumerable<(string Name, DecoderSpec Spec)> Variants(DecoderSpec spec, int length)
    {
        bool scaled = spec.Rope.Type != RopeType.Default, windowed = spec.LayerPattern.Any(layer => layer.SlidingWindow < length);
        (string? Name, Func<DecoderSpec, DecoderSpec> Change)[] ropes =
        [
            (null, same => same),
            .. scaled ? [("without rope_scaling", Unscaled)] : Array.Empty<(string?, Func<DecoderSpec, DecoderSpec>)>(),
        ];
        (string? Name, Func<DecoderSpec, DecoderSpec> Change)[] windows =
        [
            (null, same => same),
            .. windowed
                ? [("with a sliding_window of one token more", changed => Window(changed, 1)),
                    ("without a sliding_window", changed => Window(changed, null))]
                : Array.Empty<(string?, Func<DecoderSpec, DecoderSpec>)>(),
        ];
        return from rope in ropes
               from window in windows
               where rope.Name is not null || window.Name is not null
               select (string.Join(" and ", new[] { rope.Name, window.Name }.OfType<string>()), window.Change(rope.Change(spec)));

        static DecoderSpec Unscaled(DecoderSpec spec) => spec with { Rope = spec.Rope with { Type = RopeType.Default, Factor = 1 } };

        static DecoderSpec Window(DecoderSpec spec, int? more) =>
            spec with { LayerPattern = [.. spec.LayerPattern.Select(layer => layer with { SlidingWindow = layer.SlidingWindow + more })] };
    }

    /// <summary>Beyond the window, where a text of the run may get there.</summary>
    private Tensor Ids(int longestText)
    {
        int[] windows = [.. ours.Spec.LayerPattern.Select(layer => layer.SlidingWindow).OfType<int>().Where(size => size < longestText)];
        int length = Math.Min(ours.Spec.MaxPositions, Math.Max(ProbeLength, windows.Select(size => size + 16).DefaultIfEmpty().Max()));
        var random = new Random(1);
        long[] ids = [.. Enumerable.Range(0, length).Select(_ => random.NextInt64(ours.Spec.VocabularySize))];
        return tensor(ids, [1, length], device: theirs.Device);
    }

    /// <summary>Dropout is none of the model's function.</summary>
    private Tensor InEvaluation(Tensor ids)
    {
        bool training = theirs.Module.training;
        theirs.train(false);
        try
        {
            return theirs.Logits(ids)[0].to(ScalarType.Float32);
        }
        finally
        {
            theirs.train(training);
        }
    }

    private static Distance Measure(Tensor logits, CausalLM model, Tensor ids)
    {
        using var scope = NewDisposeScope();
        Tensor other = model.Logits(model.Forward(model.Embed(ids).to(ScalarType.Float32)))[0], difference = logits - other;
        float[] squares = Values((difference * difference).sum(dim: 1)), sizes = Values((other * other).sum(dim: 1));
        double[] relative = [.. squares.Zip(sizes, (square, size) => square == 0 ? 0 : Finite(Math.Sqrt(square / (double)size)))];
        return new Distance(difference.abs().max().item<float>(), relative.Max(), Finite(squares.Sum(square => (double)square)));

        static float[] Values(Tensor tensor) => tensor.cpu().data<float>().ToArray();

        static double Finite(double value) => double.IsNaN(value) ? double.PositiveInfinity : value;
    }

    private static double Epsilon(ScalarType type) => type switch
    {
        ScalarType.BFloat16 => Math.Pow(2, -7),
        ScalarType.Float16 => Math.Pow(2, -10),
        _ => Math.Pow(2, -23),
    };

    /// <param name="Largest">Of any logit.</param>
    /// <param name="Relative">‖object − ours‖ / ‖ours‖ over a token's logits, the largest of all tokens.</param>
    /// <param name="Squares">The sum of all squared differences.</param>
    private readonly record struct Distance(double Largest, double Relative, double Squares);
}

using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Models;

/// <summary>A model that golden/models stores with transformers' logits, loss and gradients: how far ours is from them.</summary>
internal sealed class GoldenModel : IDisposable
{
    private readonly Checkpoint _golden;
    private readonly Device _device;

    private GoldenModel(string folder, ScalarType type, Device device)
    {
        _device = device;
        Model = CausalLM.Load(folder, type, device);
        _golden = Checkpoint.OpenFile(Path.Combine(folder, "expected.safetensors"));
    }

    public CausalLM Model { get; }

    public static GoldenModel Load(string folder, ScalarType type, Device device) => new(folder, type, device);

    /// <summary>The logits of rows that are padded on the left, without the padding's.</summary>
    public double LogitsOff()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor mask = Stored("left.attention_mask");
        Tensor logits = Model.Logits(Model.Forward(Model.Embed(Stored("left.input_ids")), mask));
        return TensorDifference.Largest(logits * mask.unsqueeze(-1), _golden.Tensors["left.logits"]);
    }

    /// <summary>Rows that are padded on the right: logits, loss, and the largest ‖g − g′‖ / ‖g′‖ of a weight's gradient.</summary>
    public (double Logits, double Loss, double Gradient) TrainingOff()
    {
        using var scope = NewDisposeScope();
        foreach (var (_, parameter) in Model.named_parameters())
        {
            parameter.requires_grad = true;
        }

        Tensor labels = Stored("right.labels");
        Tensor logits = Model.Logits(Model.Forward(Model.Embed(Stored("right.input_ids"))));
        Tensor loss = nn.functional.cross_entropy(
            logits.narrow(1, 0, labels.shape[1] - 1).flatten(0, 1), labels.narrow(1, 1, labels.shape[1] - 1).flatten());
        loss.backward();
        var weights = Model.NamedWeights.ToDictionary(named => named.Key, named => named.Value, StringComparer.Ordinal);
        return (
            TensorDifference.Largest(logits * Stored("right.attention_mask").unsqueeze(-1), _golden.Tensors["right.logits"]),
            TensorDifference.Largest(loss, _golden.Tensors["right.loss"]),
            _golden.Names.Where(name => name.StartsWith("grad.", StringComparison.Ordinal))
                .Max(name => TensorDifference.Relative(weights[name["grad.".Length..]].grad!, _golden.Tensors[name])));
    }

    /// <summary>Decoding with a cache, in pieces of several lengths, against one forward of everything.</summary>
    public double CachedOff()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor ids = Stored("left.input_ids"), mask = Stored("left.attention_mask");

        // Dynamic RoPE takes its base from the length of the call: the past would be turned otherwise (test/data/golden/README.md).
        long length = Model.Spec.Rope.Type == RopeType.Dynamic ? Model.Spec.MaxPositions : ids.shape[1];
        (ids, mask) = (ids.narrow(1, ids.shape[1] - length, length), mask.narrow(1, ids.shape[1] - length, length));
        Tensor full = Model.Logits(Model.Forward(Model.Embed(ids), mask)) * mask.unsqueeze(-1);
        double worst = 0;
        foreach (int[] chunks in new[] { Enumerable.Repeat(1, (int)length).ToArray(), [3, 1, 5, (int)length - 9], [(int)length - 1, 1] })
        {
            using var cache = new KVCache(Model.Spec, ids.shape[0], (int)length, ScalarType.Float32, _device);

            // A row without padding, which needs no mask.
            using var alone = new KVCache(Model.Spec, 1, (int)length, ScalarType.Float32, _device);
            foreach (int chunk in chunks)
            {
                int past = cache.Length;
                Tensor piece = ids.narrow(1, past, chunk), expected = full.narrow(1, past, chunk);
                Tensor logits = Model.Logits(Model.Forward(Model.Embed(piece), mask.narrow(1, 0, past + chunk), cache));
                Tensor first = Model.Logits(Model.Forward(Model.Embed(piece.narrow(0, 0, 1)), null, alone));
                worst = Math.Max(worst, TensorDifference.Largest(logits * mask.narrow(1, past, chunk).unsqueeze(-1), expected));
                worst = Math.Max(worst, TensorDifference.Largest(first, expected.narrow(0, 0, 1)));
            }
        }

        return worst;
    }

    public void Dispose()
    {
        Model.Dispose();
        _golden.Dispose();
    }

    private Tensor Stored(string name) => _golden.Tensors[name].to(_device);
}

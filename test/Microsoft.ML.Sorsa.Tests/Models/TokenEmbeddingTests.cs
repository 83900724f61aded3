using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Models;

/// <summary>The gradient of an embedding that trains: its tokens' rows, and the head's where it is the head, too.</summary>
[TestClass]
[TestCategory("Models")]
[TestCategory("Methods")]
public sealed class TokenEmbeddingTests
{
    private const int Rows = 7;

    /// <summary>Ids that come once, twice in a row, and again later.</summary>
    private static readonly long[] s_ids = [3, 5, 5, 0, TinyModel.VocabularySize - 1, 3, 5];

    /// <summary>By two backward passes, as a training step does it, the head's first, or by one.</summary>
    [TestMethod]
    [DataRow(true, true, ScalarType.Float64)]
    [DataRow(true, true, ScalarType.Float32)]
    [DataRow(true, true, ScalarType.BFloat16)]
    [DataRow(true, false, ScalarType.Float64)]
    [DataRow(false, true, ScalarType.Float64)]
    public void TheGradientIsTheSumOfBoth(bool tied, bool twoPasses, ScalarType type)
    {
        using var scope = NewDisposeScope();
        using CausalLM model = TinyModel.Create(type, tied: tied);
        Parameter weight = Weight(model);
        using var generator = new Generator(8);
        Tensor hidden = Drawn(model.Spec.HiddenSize), ofRows = Drawn(model.Spec.HiddenSize), ofLogits = Drawn(TinyModel.VocabularySize);

        Tensor head = (model.Logits(hidden) * ofLogits).sum(), rows = (Embed(model)[0] * ofRows).sum();
        if (!tied)
        {
            rows.backward();
        }
        else if (twoPasses)
        {
            head.backward();
            rows.backward();
        }
        else
        {
            head.Plus(rows).backward();
        }

        Tensor expected = Gradient(x => x), sizes = Gradient(x => x.abs());
        double unit = Math.ScaleB(1, type switch { ScalarType.Float64 => -53, ScalarType.Float32 => -24, _ => -8 });
        Assert.IsFalse(weight.grad!.is_sparse);

        // Seven products are summed, then up to three rows: ten roundings.
        Assert.IsTrue(((Exact(weight.grad!) - expected).abs() <= sizes * (10 * unit)).all().item<bool>());

        Tensor Gradient(Func<Tensor, Tensor> of)
        {
            Tensor gradient = tied ? of(Exact(ofLogits)).t().mm(of(Exact(hidden))) : zeros_like(weight, ScalarType.Float64);
            for (int at = 0; at < s_ids.Length; at++)
            {
                gradient[s_ids[at]].Accumulate(of(Exact(ofRows))[at]);
            }

            return gradient;
        }

        Tensor Drawn(int width) => randn([Rows, width], ScalarType.Float64, generator: generator).OnDevice().to(type);
    }

    [TestMethod]
    [DoNotParallelize]
    public void TheBitsDoNotDependOnTheThreads()
    {
        using var scope = NewDisposeScope();
        using CausalLM model = TinyModel.Create(tied: true);
        Parameter weight = Weight(model);
        int threads = get_num_threads();
        Tensor alone = Gradient();
        set_num_threads(4);
        try
        {
            for (int run = 0; run < 20; run++)
            {
                Assert.IsTrue(Gradient().equal(alone).all().item<bool>());
            }
        }
        finally
        {
            set_num_threads(threads);
        }

        Tensor Gradient()
        {
            weight.grad = null;
            Tensor many = tensor([.. Enumerable.Range(0, 3000).Select(at => (long)(at * 7 % TinyModel.VocabularySize))], [1, 3000]);
            model.Logits(ones(Rows, model.Spec.HiddenSize).OnDevice()).sum().backward();
            (model.Embed(many.OnDevice()) * arange(3000).OnDevice().view(1, -1, 1).cos()).sum().backward();
            return weight.grad!.clone();
        }
    }

    private static Parameter Weight(CausalLM model) =>
        (Parameter)model.NamedWeights.Single(named => named.Key == DecoderWithHead.EmbeddingWeight).Value.requires_grad_();

    private static Tensor Embed(CausalLM model) => model.Embed(tensor(s_ids, [1, s_ids.Length]).OnDevice());

    private static Tensor Exact(Tensor tensor) => tensor.detach().to(ScalarType.Float64);
}

using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Models;

/// <summary>Against transformers' logits, losses and gradients of tiny random checkpoints.</summary>
[TestClass]
[TestCategory("Models")]
[TestCategory("Numeric")]
public sealed class ModelsGoldenTests
{
    private static readonly double s_limit = TestDevice.Limit(1e-5);

    public static IEnumerable<object[]> Folders => TestData.Rows(TestData.Golden("models"), "*");

    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void LogitsWithLeftPadding(string folder)
    {
        using GoldenModel model = Load(folder);

        Assert.IsLessThanOrEqualTo(s_limit, model.LogitsOff());
    }

    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void LossAndGradientsWithRightPadding(string folder)
    {
        using GoldenModel model = Load(folder);

        (double logits, double loss, double gradient) = model.TrainingOff();

        Assert.IsLessThanOrEqualTo(s_limit, logits);
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(3e-6), loss);
        Assert.IsLessThanOrEqualTo(s_limit, gradient);
    }

    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void CachedDecodingEqualsTheFullForward(string folder)
    {
        using GoldenModel model = Load(folder);

        Assert.IsLessThanOrEqualTo(s_limit, model.CachedOff());
    }

    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void WeightsKeepTheirCheckpointNames(string folder)
    {
        TestData.Require(folder);
        using CausalLM model = CausalLM.Load(folder, ScalarType.Float32, TestDevice.Current);
        using Checkpoint checkpoint = Checkpoint.OpenFolder(folder);

        CollectionAssert.AreEquivalent(checkpoint.Names.ToArray(), model.NamedWeights.Select(named => named.Key).ToArray());
        Assert.IsTrue(model.NamedWeights.All(
            named => named.Value.cpu().allclose(checkpoint.Tensors[named.Key].to(ScalarType.Float32), 0, 0)));
    }

    internal static void AssertClose(Tensor expected, Tensor actual, double tolerance)
    {
        CollectionAssert.AreEqual(expected.shape, actual.shape);
        Assert.IsLessThanOrEqualTo(tolerance, TensorDifference.Largest(actual, expected));
    }

    private static GoldenModel Load(string folder) =>
        GoldenModel.Load(TestData.Require(folder), ScalarType.Float32, TestDevice.Current);
}

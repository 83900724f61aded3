using Microsoft.ML.Sorsa.Optimizers;
using Microsoft.ML.Sorsa.Tests.Models;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using AdamW = Microsoft.ML.Sorsa.Optimizers.AdamW;

namespace Microsoft.ML.Sorsa.Tests.Training;

[TestClass]
[TestCategory("Training")]
[TestCategory("Numeric")]
public sealed class AdamWTests
{
    /// <summary>TorchSharp's own optimizer, an implementation apart from the fused kernel.</summary>
    [TestMethod]
    [DataRow(0.0, 0.9, 0.999, 1e-8)]
    [DataRow(0.1, 0.9, 0.999, 1e-8)]
    [DataRow(0.01, 0.8, 0.95, 1e-3)]
    public void TwentyStepsAreTorchs(double weightDecay, double beta1, double beta2, double epsilon)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(31);
        long[][] shapes = [[7, 3], [5], [2, 4]];
        Parameter[] ours = [.. shapes.Select(shape => new Parameter(randn(shape, ScalarType.Float64, generator: generator).OnDevice()))];
        Parameter[] theirs = [.. ours.Select(parameter => new Parameter(parameter.detach().clone()))];
        using var optimizer = new AdamW(
            [.. ours.Select((parameter, i) => KeyValuePair.Create($"{i}", parameter))],
            new AdamWSettings(beta1, beta2, epsilon, weightDecay));
        using var reference = optim.AdamW(theirs, lr: 1, beta1: beta1, beta2: beta2, eps: epsilon, weight_decay: weightDecay);

        for (int step = 0; step < 20; step++)
        {
            double learningRate = 0.01 * step;
            foreach ((Parameter mine, Parameter other) in ours.Zip(theirs))
            {
                Tensor gradient = randn(mine.shape, ScalarType.Float64, generator: generator).OnDevice() * 3;
                mine.grad = gradient;
                other.grad = gradient.clone();
            }

            reference.ParamGroups.Single().LearningRate = learningRate;
            optimizer.Step(learningRate);
            reference.step();
        }

        foreach ((Parameter mine, Parameter other) in ours.Zip(theirs))
        {
            Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-12), (mine - other).abs().max().item<double>());
        }
    }

    [TestMethod]
    public void ZeroGradDropsTheGradients()
    {
        using var scope = NewDisposeScope();
        var parameter = new Parameter(ones(3).OnDevice());
        using var optimizer = new AdamW([KeyValuePair.Create("weight", parameter)], TinyModel.Settings.ToAdamWSettings());
        parameter.grad = ones(3).OnDevice();

        optimizer.ZeroGrad();

        Assert.IsNull(parameter.grad);
        Assert.Contains("call backward first", Assert.ThrowsExactly<InvalidOperationException>(() => optimizer.Step(1)).Message);
    }
}

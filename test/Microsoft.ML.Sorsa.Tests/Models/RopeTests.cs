using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Models;

/// <summary>The angles against the formulas in test/data/golden/README.md, number by number.</summary>
[TestClass]
[TestCategory("Models")]
[TestCategory("Numeric")]
public sealed class RopeTests
{
    private const int D = 16;
    private const int M = 64;
    private const double Theta = 5000;

    private static readonly long[] Positions = [0, 1, 7, 31, 63, 90];

    public static IEnumerable<object[]> Types => Enum.GetNames<RopeType>().Select(name => new object[] { name });

    [TestMethod]
    [DynamicData(nameof(Types))]
    public void AnglesFollowTheFormula(string name)
    {
        using var scope = NewDisposeScope();
        RopeType type = Enum.Parse<RopeType>(name);
        RopeConfig config = Config(type);

        (Tensor cos, Tensor sin) = new RotaryEmbedding(config).CosSin(tensor(Positions).OnDevice().unsqueeze(0), ScalarType.Float64);

        CollectionAssert.AreEqual(new long[] { 1, Positions.Length, 1, D }, cos.shape);
        double scale = type == RopeType.Yarn ? (0.1 * Math.Log(4)) + 1 : 1;
        for (int t = 0; t < Positions.Length; t++)
        {
            for (int i = 0; i < D; i++)
            {
                double angle = Angle(type, Positions[t], i % (D / 2));
                Assert.AreEqual(scale * Math.Cos(angle), cos[0, t, 0, i].item<double>(), 1e-12);
                Assert.AreEqual(scale * Math.Sin(i < D / 2 ? -angle : angle), sin[0, t, 0, i].item<double>(), 1e-12);
            }
        }
    }

    [TestMethod]
    public void DynamicStretchesOnlyBeyondItsPositions()
    {
        using var scope = NewDisposeScope();
        var dynamic = new RotaryEmbedding(Config(RopeType.Dynamic));
        var plain = new RotaryEmbedding(Config(RopeType.Default));
        Tensor within = arange(0, M, ScalarType.Int64).OnDevice().unsqueeze(0);
        Tensor beyond = arange(0, M + 1, ScalarType.Int64).OnDevice().unsqueeze(0);

        Assert.IsTrue(plain.CosSin(within, ScalarType.Float64).Cos.allclose(dynamic.CosSin(within, ScalarType.Float64).Cos, 0, 0));
        Assert.IsFalse(plain.CosSin(beyond, ScalarType.Float64).Cos.allclose(dynamic.CosSin(beyond, ScalarType.Float64).Cos, 0, 0));
    }

    [TestMethod]
    public void AnAttentionFactorReplacesYarnsOwn()
    {
        using var scope = NewDisposeScope();
        RopeConfig config = Config(RopeType.Yarn) with { AttentionFactor = 1.5 };

        Tensor cosines = new RotaryEmbedding(config).CosSin(zeros([1, 1], ScalarType.Int64).OnDevice(), ScalarType.Float64).Cos;

        Assert.AreEqual(1.5, cosines.max().item<double>(), 1e-15);
    }

    /// <summary>(x_i, x_{i+d/2}) as a complex number times e^{i·angle}.</summary>
    [TestMethod]
    public void PairsAreTurnedAsComplexNumbers()
    {
        using var scope = NewDisposeScope();
        Tensor x = rand([1, Positions.Length, 2, D], ScalarType.Float64).OnDevice();

        Tensor turned = RotaryEmbedding.Rotate(
            x, new RotaryEmbedding(Config(RopeType.Default)).CosSin(tensor(Positions).OnDevice().unsqueeze(0), ScalarType.Float64));

        for (int head = 0; head < 2; head++)
        {
            for (int t = 0; t < Positions.Length; t++)
            {
                for (int i = 0; i < D / 2; i++)
                {
                    var expected = new System.Numerics.Complex(x[0, t, head, i].item<double>(), x[0, t, head, i + (D / 2)].item<double>())
                        * System.Numerics.Complex.FromPolarCoordinates(1, Angle(RopeType.Default, Positions[t], i));
                    Assert.AreEqual(expected.Real, turned[0, head, t, i].item<double>(), 1e-12);
                    Assert.AreEqual(expected.Imaginary, turned[0, head, t, i + (D / 2)].item<double>(), 1e-12);
                }
            }
        }
    }

    private static RopeConfig Config(RopeType type) => new()
    {
        Type = type,
        Theta = Theta,
        HeadDim = D,
        MaxPositions = M,
        Factor = type == RopeType.Default ? 1 : 4,
        LowFrequencyFactor = 1,
        HighFrequencyFactor = 4,
        OriginalMaxPositions = 32,
    };

    private static double Angle(RopeType type, long position, int i)
    {
        double wave = 2 * Math.PI * Math.Pow(Theta, 2.0 * i / D);
        switch (type)
        {
            case RopeType.Linear:
                return position / 4.0 * 2 * Math.PI / wave;
            case RopeType.Dynamic:
                double s = Positions.Max() + 1;
                return position / Math.Pow(Theta * Math.Pow((4 * s / M) - 3, D / (D - 2.0)), 2.0 * i / D);
            case RopeType.Llama3:
                // Wave lengths over 32/1 are stretched, under 32/4 kept.
                double kept = wave < 8 ? 1 : wave > 32 ? 0 : ((32 / wave) - 1) / 3;
                return position * ((kept * 2 * Math.PI / wave) + ((1 - kept) * 2 * Math.PI / wave / 4));
            case RopeType.Yarn:
                double low = Math.Max(Math.Floor(D * Math.Log(32 / (32 * 2 * Math.PI)) / (2 * Math.Log(Theta))), 0);
                double high = Math.Min(Math.Ceiling(D * Math.Log(32 / (2 * Math.PI)) / (2 * Math.Log(Theta))), D - 1);
                double stretched = i <= low ? 0 : i >= high ? 1 : (i - low) / (high - low);
                return position * 2 * Math.PI / wave * (1 - stretched + (stretched / 4));
            default:
                return position * 2 * Math.PI / wave;
        }
    }
}

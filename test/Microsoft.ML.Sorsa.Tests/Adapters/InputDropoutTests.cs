using Microsoft.ML.Sorsa.Adapters;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

/// <summary>
/// Masks against the same arithmetic value by value, and against what chance gives: the bounds are six standard deviations of the
/// binomial distribution, and of χ² where squares are summed.
/// </summary>
[TestClass]
[TestCategory("Adapters")]
[TestCategory("Numeric")]
public sealed class InputDropoutTests
{
    private const double Sigmas = 6;

    [TestMethod]
    [DataRow(0.1, 7L, 0L)]
    [DataRow(0.5, -7L, 1L)]
    [DataRow(0.999, long.MinValue, 1000L)]
    [DataRow(1e-6, int.MaxValue, long.MaxValue - 1)]
    public void AValueIsAFunctionOfSeedNumberAndPlace(double rate, long seed, long pass)
    {
        using var scope = NewDisposeScope();
        var dropout = new InputDropout(rate, seed) { Pass = pass };
        (_, _, int last) = (dropout.Join(), dropout.Join(), dropout.Join());

        float[] mask = dropout.Mask(empty(31, 517).OnDevice(), last).flatten().cpu().data<float>().ToArray();

        Assert.AreEqual(2, last);
        ulong number = unchecked((3 * (ulong)pass) + 2);
        ulong key = Mixed(Mixed(unchecked((ulong)seed) + 0x9E3779B97F4A7C15) + unchecked(0x9E3779B97F4A7C15 * (number + 1)));
        uint start = unchecked((uint)(-1 - (long)(key >> 33))), factor = unchecked((uint)key) | 1;
        for (uint i = 0; i < mask.Length; i++)
        {
            uint x = unchecked((start + i) * factor);
            x = unchecked((x ^ (x >> 16)) * 0x7FEB352D);
            int hash = unchecked((int)((x ^ (x >> 15)) * 0x846CA68B));
            bool isKept = hash >= -2147483648.0 + Math.Round(rate * 4294967296.0);
            Assert.AreEqual(isKept ? (float)(1 / (1 - rate)) : 0, mask[i]);
        }
    }

    [TestMethod]
    public void APassHasTheSameMasksWheneverItIsComputed()
    {
        using var scope = NewDisposeScope();
        var dropout = new InputDropout(0.3, 5);
        (int one, int other) = (dropout.Join(), dropout.Join());
        Tensor x = empty(4, 6, 8).OnDevice();
        Tensor[] first = [dropout.Mask(x, one), dropout.Mask(x, other), Next(one)];

        dropout.Pass--;

        Assert.IsTrue(Same(dropout.Mask(x, other), first[1]));
        Assert.IsTrue(Same(dropout.Mask(x, one), first[0]));
        Assert.IsTrue(Same(Next(one), first[2]));
        Assert.IsFalse(Same(first[0], first[1]));
        Assert.IsFalse(Same(first[0], first[2]));
        Assert.IsFalse(Same(first[1], first[2]));
        CollectionAssert.AreEqual(x.shape, first[0].shape);

        Tensor Next(int adapter)
        {
            dropout.Pass++;
            return dropout.Mask(x, adapter);
        }
    }

    [TestMethod]
    [DataRow(ScalarType.Float64)]
    [DataRow(ScalarType.BFloat16)]
    [DataRow(ScalarType.Float16)]
    public void AnyTypeHasTheSameMask(ScalarType type)
    {
        using var scope = NewDisposeScope();

        Tensor mask = Dropout().Mask(empty([40, 50], type).OnDevice(), 0), wide = Dropout().Mask(empty(40, 50).OnDevice(), 0);

        Assert.AreEqual(type, mask.dtype);
        Assert.IsTrue(Same(mask.ne(0), wide.ne(0)));
        Assert.IsTrue(Same(mask.max(), tensor(1 / 0.7, type).OnDevice()));

        static InputDropout Dropout()
        {
            var dropout = new InputDropout(0.3, 5);
            dropout.Join();
            return dropout;
        }
    }

    [TestMethod]
    [DataRow(0.01)]
    [DataRow(0.1)]
    [DataRow(0.5)]
    [DataRow(0.9)]
    public void TheShareIsTheRateInEveryRowAndColumnAndMask(double rate)
    {
        using var scope = NewDisposeScope();
        const int Masks = 64, Rows = 256, Columns = 192;
        var dropout = new InputDropout(rate, 1);
        Tensor dropped = stack(Enumerable.Range(0, Masks).Select(_ => Dropped(dropout, Rows, Columns)));

        Near(rate, dropped.mean([0, 1, 2]).item<double>(), Math.Sqrt(rate * (1 - rate) / dropped.numel()));
        Spread(dropped.sum([1, 2]), (long)Rows * Columns);
        Spread(dropped.sum([0, 2]), (long)Masks * Columns);
        Spread(dropped.sum([0, 1]), (long)Masks * Rows);
        Spread(dropped.sum(dim: 0).flatten(), Masks);

        // Neighbours, as a picture shows them: blocks of 8 x 8.
        Spread(dropped.view(Masks, Rows / 8, 8, Columns / 8, 8).sum([2, 4]).flatten(), 64);

        // Σ z² of counts has the mean and the variance of χ², but for the binomial's own fourth moment.
        void Spread(Tensor counts, long trials)
        {
            double variance = trials * rate * (1 - rate);
            Tensor squares = (counts - (trials * rate)).square() / variance;
            double fourth = 2 + ((1 - (6 * rate * (1 - rate))) / variance);
            Near(1, squares.mean().item<double>(), Math.Sqrt(fourth / counts.numel()));
        }
    }

    /// <summary>
    /// Masks of one seed and of others, which a layer and the next, a step and the next draw: any two drop as much together as chance has
    /// them.
    /// </summary>
    [TestMethod]
    [DataRow(0.1)]
    [DataRow(0.5)]
    public void NoTwoMasksKnowOfEachOther(double rate)
    {
        using var scope = NewDisposeScope();
        const int Seeds = 24, Draws = 24, Values = 1 << 16;
        Tensor[] masks = [.. Enumerable.Range(-4, Seeds).SelectMany(seed =>
        {
            var dropout = new InputDropout(rate, seed);
            return Enumerable.Range(0, Draws).Select(_ => Dropped(dropout, 1, Values).view(-1));
        })];

        AreUncorrelated(stack(masks), rate);
    }

    [TestMethod]
    [DataRow(0.1)]
    [DataRow(0.5)]
    public void NeitherRowsNorColumnsKnowOfEachOther(double rate)
    {
        using var scope = NewDisposeScope();
        Tensor dropped = Dropped(new InputDropout(rate, 3), 1024, 4096);
        AreUncorrelated(dropped, rate);
        AreUncorrelated(dropped.t().contiguous(), rate);

        // The corners of rectangles: where rows and columns were only added up, three would give the fourth.
        Tensor centred = (dropped - rate) / Math.Sqrt(rate * (1 - rate));
        foreach ((int down, int right) in new[] { (1, 1), (1, 64), (128, 1), (256, 512), (511, 2047) })
        {
            Tensor corners = centred[..^down, ..^right] * centred[down.., ..^right] * centred[..^down, right..] * centred[down.., right..];
            Near(0, corners.mean().item<double>(), 1 / Math.Sqrt(corners.numel()));
        }
    }

    /// <summary>Values of one mask at every distance up to 4,096, in the order in which they are numbered.</summary>
    [TestMethod]
    public void ValuesDoNotKnowOfThoseBehindThem()
    {
        using var scope = NewDisposeScope();
        const int Values = 1 << 20;
        const double Rate = 0.1;
        Tensor centred = (Dropped(new InputDropout(Rate, 11), 1, Values).view(-1) - Rate) / Math.Sqrt(Rate * (1 - Rate));

        Tensor spectrum = fft.rfft(cat([centred, zeros_like(centred)]));
        Tensor products = fft.irfft(spectrum * spectrum.conj()).slice(0, 1, 4097, 1) / Math.Sqrt(Values);

        Assert.IsLessThan(Sigmas, products.abs().max().item<double>());
    }

    private static void AreUncorrelated(Tensor rows, double rate)
    {
        Tensor centred = (rows - rate) / Math.Sqrt(rate * (1 - rate));
        Tensor together = centred.mm(centred.t()).tril(-1) / Math.Sqrt(rows.shape[1]);
        long pairs = rows.shape[0] * (rows.shape[0] - 1) / 2;

        Assert.IsLessThan(Sigmas, together.abs().max().item<double>());
        Near(1, together.square().sum().item<double>() / pairs, Math.Sqrt(2.0 / pairs));
    }

    private static bool Same(Tensor one, Tensor other) => one.eq(other).all().item<bool>();

    private static void Near(double expected, double actual, double deviation) =>
        Assert.AreEqual(expected, actual, Sigmas * deviation);

    /// <summary>Where the next mask drops: that of another adapter, which has the numbers behind one another as passes have.</summary>
    private static Tensor Dropped(InputDropout dropout, long rows, long columns) =>
        dropout.Mask(empty(rows, columns).OnDevice(), dropout.Join()).eq(0).to(ScalarType.Float64);

    private static ulong Mixed(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}

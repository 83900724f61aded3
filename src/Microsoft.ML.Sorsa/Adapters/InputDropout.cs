using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// Dropout on the input of what trains; the frozen weight's input is left alone. A mask is numbered by the forward pass and the adapter,
/// and its i-th value is a function of the seed, this number n and i alone, in whole-tensor operations on 32-bit integers: the same bits on
/// every device, with no generator, which TorchSharp has on the CPU only. So the passes are all that a resume needs, and an adapter that
/// computes the same pass again has the same mask.
/// <code>
/// (a, m) from SplitMix64 of seed and n; m odd
/// x = (a + i) · m;   x = (x ⊕ x ≫ 16) · 0x7FEB352D;   h = (x ⊕ x ≫ 15) · 0x846CA68B      modulo 2³², ≫ without sign
/// </code>
/// The value is dropped where h, as a signed number, is among the lowest of them: the rate has steps of 2⁻³². The constants are Wellons'
/// lowbias32, whose last ⊕ would not change the order that the highest bits decide.
/// </summary>
/// <param name="rate">The share that is set to zero; above 0, below 1. The rest is scaled by 1 / (1 − rate).</param>
/// <param name="seed">The run's.</param>
internal sealed class InputDropout(double rate, long seed)
{
    private const long FirstFactor = 0x7FEB352D, SecondFactor = unchecked((int)0x846CA68B);

    private readonly ulong _key = SplitMix64.Mix(unchecked((ulong)seed) + SplitMix64.Step);
    private readonly long _limit = Math.Min(int.MinValue + (long)Math.Round(rate * (1L << 32)), int.MaxValue);
    private int _adapters;

    /// <summary>The share that is set to zero.</summary>
    public double Rate => rate;

    /// <summary>Forward passes so far. Each has masks of its own: whoever begins one raises it.</summary>
    public long Pass { get; set; }

    /// <summary>Takes an adapter up, once all of them before the first mask, and gives its number.</summary>
    public int Join() => _adapters++;

    /// <summary>
    /// An adapter's mask in this pass, for every value of the input 0 or 1 / (1 − rate), in its type and on its device; it belongs to the
    /// dispose scope that is open.
    /// </summary>
    /// <param name="input">What is masked.</param>
    /// <param name="adapter">The adapter's number.</param>
    public Tensor Mask(Tensor input, int adapter)
    {
        using var scope = NewDisposeScope();
        long number = unchecked((Pass * _adapters) + adapter);
        ulong key = SplitMix64.Mix(_key + (SplitMix64.Step * unchecked((ulong)number + 1)));
        long start = -1 - (long)(key >> 33), factor = unchecked((int)key) | 1;
        Tensor hash = ScalarArithmetic.WholeNumbers(start, start + input.numel(), input.device, ScalarType.Int32).Scale(factor);
        hash.bitwise_xor_(Shifted(hash, 16)).Scale(FirstFactor);
        hash.bitwise_xor_(Shifted(hash, 15)).Scale(SecondFactor);
        return scope.MoveToOuter(hash.IsAtLeast(_limit).to(input.dtype).Scale(1 / (1 - rate)).view(input.shape));
    }

    /// <summary>≫ without sign: torch's own keeps it, so that what it brings in at the top is masked away.</summary>
    private static Tensor Shifted(Tensor hash, int bits) =>
        hash.bitwise_right_shift(tensor(bits)).bitwise_and_(tensor(int.MaxValue >> (bits - 1)));
}

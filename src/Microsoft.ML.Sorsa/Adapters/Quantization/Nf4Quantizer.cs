using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Quantization;

/// <summary>
/// Values to the codes of <see cref="Nf4Code"/>, in whole-tensor operations on the device where they are: the same bytes on each. What is
/// returned belongs to the dispose scope that is open.
/// </summary>
internal static class Nf4Quantizer
{
    /// <summary>
    /// The codes of all values, two to a byte, and each block's largest magnitude, in float32. An odd count leaves the last nibble at the
    /// code of 0.
    /// </summary>
    public static (Tensor Packed, Tensor Scales) Quantize(Tensor weight)
    {
        using var scope = NewDisposeScope();
        Tensor values = weight.detach().reshape(-1);
        long count = values.numel(), blocks = (count + Nf4Code.BlockSize - 1) / Nf4Code.BlockSize;
        Tensor packed = empty(blocks * Nf4Code.BlockSize / 2, ScalarType.Byte, weight.device);
        Tensor scales = empty(blocks, ScalarType.Float32, weight.device);
        for (long at = 0; at < count; at += Nf4Slices.SizeOn(weight.device))
        {
            using var slice = NewDisposeScope();
            Tensor part = Blocks(
                values.narrow(0, at, Math.Min(count - at, Nf4Slices.SizeOn(weight.device))).to(ScalarType.Float32), Nf4Code.BlockSize);
            Tensor largest = part.abs().amax([1]), scaled = part * Inverse(largest), codes = zeros_like(part, ScalarType.Byte);
            foreach (float middle in Nf4Code.ValueMiddles)
            {
                codes.Accumulate(scaled.IsAbove(middle));
            }

            Tensor pairs = codes.view(-1, 2);
            packed.narrow(0, at / 2, pairs.shape[0]).copy_(pairs.select(1, 0).Scale(16L).Accumulate(pairs.select(1, 1)));
            scales.narrow(0, at / Nf4Code.BlockSize, part.shape[0]).copy_(largest);
        }

        return scope.MoveToOuter(packed.narrow(0, 0, (count + 1) / 2).clone(), scales);
    }

    /// <summary>The 8-bit codes of magnitudes, what their blocks are scaled with, and their mean, all on their device.</summary>
    public static (Tensor Codes, Tensor Scales, Tensor Offset) QuantizeScales(Tensor magnitudes, Nf4Tables tables)
    {
        using var scope = NewDisposeScope();
        Tensor offset = magnitudes.to(ScalarType.Float64).mean().to(ScalarType.Float32);
        Tensor shifted = Blocks(magnitudes.Plus(offset.neg()), Nf4Code.ScaleBlockSize), largest = shifted.abs().amax([1]);

        // bitsandbytes finds these codes through a table of 65,536 even steps over [-1, 1]; without it two codes in a thousand differ
        // from its own.
        Tensor grid = (shifted * Inverse(largest)).Shift(1.0).Scale(0.5).Scale(65535.0).Shift(0.5).trunc_();
        grid = grid.div_(tables.LastStep).Scale(2.0).Shift(-1.0);
        Tensor codes = grid.bucketize(tables.ScaleMiddles, true, false).to(ScalarType.Byte).view(-1);
        return scope.MoveToOuter(codes.narrow(0, 0, magnitudes.numel()).clone(), largest, offset);
    }

    /// <summary>[blocks, size], the last of them filled up with zeros.</summary>
    private static Tensor Blocks(Tensor values, int size)
    {
        long missing = -values.numel() % size is var rest && rest < 0 ? rest + size : 0;
        return (missing == 0 ? values : cat([values, zeros(missing, values.dtype, values.device)])).view(-1, size);
    }

    /// <summary>1 / x [blocks, 1]; 0 where that is not finite: a block without values, or of values below float32's normal ones.</summary>
    private static Tensor Inverse(Tensor largest) => largest.reciprocal().nan_to_num_(0, 0, 0).unsqueeze(1);
}

/// <summary>Large matrices are worked on in slices of whole blocks, so that what is made on the way is small.</summary>
internal static class Nf4Slices
{
    /// <summary>Values of a slice: what a processor's cache holds, or half of a large card's (25 MB while it is read).</summary>
    public static long SizeOn(Device device) => device.type == DeviceType.CPU ? 1 << 16 : 1 << 22;
}

using System.Runtime.InteropServices;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Quantization;

/// <summary>
/// A weight kept in NF4 with double quantisation (<see cref="Nf4Code"/>), about 4.13 bits a value; a matrix of it lives only while it is
/// used.
/// </summary>
internal sealed class Nf4Weight : FrozenWeight
{
    private readonly long[] _shape;
    private readonly Nf4Tables _tables;

    [ComponentName(Name = "packed")]
    private readonly Tensor _packed;

    [ComponentName(Name = "scale_codes")]
    private readonly Tensor _scaleCodes;

    [ComponentName(Name = "scale_scales")]
    private readonly Tensor _scaleScales;

    [ComponentName(Name = "scale_offset")]
    private readonly Tensor _scaleOffset;

    private bool _released;

    /// <summary>Quantises W [out, in], which is left as it is, in float32, on its device.</summary>
    /// <exception cref="ArithmeticException">A value is not finite.</exception>
    public Nf4Weight(Tensor weight)
        : base(nameof(Nf4Weight))
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        _shape = weight.shape;
        (_packed, Tensor scales) = Nf4Quantizer.Quantize(weight);
        if (!scales.isfinite().all().item<bool>())
        {
            throw new ArithmeticException(
                "A weight to quantise holds values that are not finite. Its checkpoint is broken: fetch or write it again.");
        }

        _tables = Nf4Tables.Take(weight.device);
        (_scaleCodes, _scaleScales, _scaleOffset) = Nf4Quantizer.QuantizeScales(scales, _tables);
        scope.Detach(_packed, _scaleCodes, _scaleScales, _scaleOffset);
        RegisterComponents();
    }

    public override long[] Shape => _shape;

    /// <summary>What is kept, in bytes.</summary>
    public long Size => _packed.numel() + _scaleCodes.numel() + (sizeof(float) * (_scaleScales.numel() + 1));

    /// <summary>The same of a weight of so many values, before there is one.</summary>
    public static long SizeOf(long values)
    {
        long blocks = Blocks(values, Nf4Code.BlockSize);
        return Blocks(values, 2) + blocks + (sizeof(float) * (Blocks(blocks, Nf4Code.ScaleBlockSize) + 1));

        static long Blocks(long count, int size) => (count + size - 1) / size;
    }

    /// <summary>
    /// What quantising takes, in bytes, for the error that it reports: the values in float32 twice, and a third time where they are
    /// narrower.
    /// </summary>
    public static long QuantizingWorking(AdaptedShape shape) => (shape.IsNarrow ? 3 : 2) * shape.Count * sizeof(float);

    /// <summary>The codes, two to a byte.</summary>
    internal Tensor Packed => _packed;

    /// <summary>The blocks' magnitudes: their codes, what scales these, and what they lie around.</summary>
    internal (Tensor Codes, Tensor Scales, Tensor Offset) ScaleParts => (_scaleCodes, _scaleScales, _scaleOffset);

    public override Tensor Dense(ScalarType type) => _packed.device_type == DeviceType.CPU ? ByLoop(type) : ByTensors(type);

    /// <summary>In the processor's own memory.</summary>
    internal Tensor ByLoop(ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        bool isNarrow = type == ScalarType.BFloat16;
        Tensor dense = empty(_shape, isNarrow ? type : ScalarType.Float32);
        ReadOnlySpan<float> scales = MemoryMarshal.Cast<byte, float>(Scales().bytes);
        if (isNarrow)
        {
            Nf4Code.Dequantize<ushort, ToBFloat16>(_packed.bytes, scales, MemoryMarshal.Cast<byte, ushort>(dense.bytes));
        }
        else
        {
            Nf4Code.Dequantize<float, ToFloat32>(_packed.bytes, scales, MemoryMarshal.Cast<byte, float>(dense.bytes));
        }

        return scope.MoveToOuter(dense.to(type));
    }

    /// <summary>The same on any device. docs/decisions/nf4.md counts the bytes that it moves.</summary>
    internal Tensor ByTensors(ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor dense = empty(_shape, type, _packed.device), flat = dense.view(-1), scales = Scales();
        for (long count = flat.numel(), at = 0; at < count; at += Nf4Slices.SizeOn(_packed.device))
        {
            using var slice = NewDisposeScope();
            long length = Math.Min(count - at, Nf4Slices.SizeOn(_packed.device)), whole = length / Nf4Code.BlockSize;
            Tensor bytes = _packed.narrow(0, at / 2, (length + 1) / 2).to(ScalarType.Int32);
            Tensor values = _tables.Pairs.index_select(0, bytes).view_as_real().view(-1);
            Tensor blocks = scales.narrow(0, at / Nf4Code.BlockSize, (length + Nf4Code.BlockSize - 1) / Nf4Code.BlockSize);
            values.narrow(0, 0, whole * Nf4Code.BlockSize).view(-1, Nf4Code.BlockSize).mul_(blocks.narrow(0, 0, whole).unsqueeze(1));
            if (whole < blocks.shape[0])
            {
                values.narrow(0, whole * Nf4Code.BlockSize, values.numel() - (whole * Nf4Code.BlockSize)).mul_(blocks.narrow(0, whole, 1));
            }

            flat.narrow(0, at, length).copy_(values.narrow(0, 0, length));
        }

        return scope.MoveToOuter(dense);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && !_released)
        {
            _released = true;
            _tables.Release();
        }

        base.Dispose(disposing);
    }

    /// <summary>The largest magnitude of each block, as far as 8 bits tell.</summary>
    private Tensor Scales()
    {
        Tensor scales = _tables.Scales.index_select(0, _scaleCodes.to(ScalarType.Int32));
        Tensor factors = _scaleScales.repeat_interleave(Nf4Code.ScaleBlockSize).narrow(0, 0, scales.numel());
        return scales.mul_(factors).Accumulate(_scaleOffset);
    }
}

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
    private readonly long _count;

    [ComponentName(Name = "packed")]
    private readonly Tensor _packed;

    [ComponentName(Name = "scale_codes")]
    private readonly Tensor _scaleCodes;

    [ComponentName(Name = "scale_scales")]
    private readonly Tensor _scaleScales;

    private readonly float _scaleOffset;

    /// <summary>Quantises W [out, in], which is left as it is, in float32.</summary>
    /// <exception cref="ArithmeticException">A value is not finite.</exception>
    public Nf4Weight(Tensor weight)
        : base(nameof(Nf4Weight))
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        _shape = weight.shape;
        _count = weight.numel();
        Tensor values = weight.detach().to(ScalarType.Float32).cpu().contiguous();
        (byte[] packed, float[] scales) = Nf4Code.Quantize(MemoryMarshal.Cast<byte, float>(values.bytes));
        if (!scales.All(float.IsFinite))
        {
            throw new ArithmeticException(
                "A weight to quantise holds values that are not finite. Its checkpoint is broken: fetch or write it again.");
        }

        (byte[] codes, float[] scaleScales, _scaleOffset) = Nf4Code.QuantizeScales(scales);
        _packed = tensor(packed, device: weight.device).DetachFromDisposeScope();
        _scaleCodes = tensor(codes, device: weight.device).DetachFromDisposeScope();
        _scaleScales = tensor(scaleScales, device: weight.device).DetachFromDisposeScope();
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

    /// <summary>What <see cref="Dense"/> takes while it is used, in bytes: the matrix, in float32 and in the type to compute in.</summary>
    public static long DenseWorking(AdaptedShape shape) => shape.Count * (sizeof(float) + (shape.IsNarrow ? shape.TypeSize : 0));

    /// <summary>What quantising takes, in bytes: the values in float32 twice, for the error that it reports.</summary>
    public static long QuantizingWorking(AdaptedShape shape) => 2 * shape.Count * sizeof(float);

    public override Tensor Dense(ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        return scope.MoveToOuter((_packed.device_type == DeviceType.CPU ? ByLoop() : ByTensors()).to(type));
    }

    /// <summary>In the processor's own memory.</summary>
    internal Tensor ByLoop()
    {
        using var scope = NewDisposeScope();
        Tensor dense = empty(_shape, ScalarType.Float32);
        Tensor scales = Scales();
        Nf4Code.Dequantize(_packed.bytes, MemoryMarshal.Cast<byte, float>(scales.bytes), MemoryMarshal.Cast<byte, float>(dense.bytes));
        return scope.MoveToOuter(dense);
    }

    /// <summary>The same on any device.</summary>
    internal Tensor ByTensors()
    {
        using var scope = NewDisposeScope();
        Tensor pairs = tensor(Nf4Code.PairTable(), [256, 2], device: _packed.device);
        Tensor values = pairs.index_select(0, _packed.to(ScalarType.Int32)).flatten();
        Tensor scales = Scales().unsqueeze(1);
        long whole = scales.shape[0] * Nf4Code.BlockSize;
        if (values.numel() < whole)
        {
            values = cat([values, zeros(whole - values.numel(), values.dtype, values.device)]);
        }

        values = values.view(-1, Nf4Code.BlockSize).mul_(scales).view(-1);
        return scope.MoveToOuter((_count == whole ? values : values.narrow(0, 0, _count)).view(_shape));
    }

    /// <summary>The largest magnitude of each block, as far as 8 bits tell.</summary>
    private Tensor Scales()
    {
        long blocks = _scaleCodes.numel();
        Tensor map = tensor(Nf4Code.ScaleValues.ToArray(), device: _packed.device);
        Tensor scales = map.index_select(0, _scaleCodes.to(ScalarType.Int32));
        return (scales * _scaleScales.repeat_interleave(Nf4Code.ScaleBlockSize).narrow(0, 0, blocks)).Shift((double)_scaleOffset);
    }
}

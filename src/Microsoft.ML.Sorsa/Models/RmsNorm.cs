using Microsoft.ML.Sorsa.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>
/// Root mean square normalisation (Zhang and Sennrich, arXiv 1910.07467): y = w ⊙ x / √(mean(x²) + ε), over the last dimension.
/// </summary>
internal sealed class RmsNorm : nn.Module<Tensor, Tensor>
{
    private const string WeightName = "weight";

    [ComponentName(Name = WeightName)]
    private readonly Parameter _weight;

    private readonly double _epsilon;

    public RmsNorm(DecoderSpec spec, string path, WeightSource weights)
        : base(nameof(RmsNorm))
    {
        _weight = weights.Get($"{path}.{WeightName}", spec.HiddenSize);
        _epsilon = spec.Norm.Epsilon;
    }

    /// <param name="input">x [..., hidden]; half precision is normalised in float32.</param>
    public override Tensor forward(Tensor input)
    {
        if (RmsNormRows.Fits(input, _weight))
        {
            return RmsNormFunction.Apply(input, _weight, _epsilon);
        }

        if (FusedRmsNorm.Fits(input, _weight))
        {
            return FusedRmsNorm.Compute(input, _weight, _epsilon);
        }

        Tensor x = input.dtype is ScalarType.Float16 or ScalarType.BFloat16 ? input.to(ScalarType.Float32) : input;
        Tensor scale = (x * x).mean([-1], keepdim: true).Shift(_epsilon).rsqrt();
        return (x * scale).to(input.dtype) * _weight;
    }
}

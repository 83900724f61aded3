using System.Diagnostics;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>
/// Rotary position embedding (Su et al., arXiv 2104.09864) in Llama's layout: the pair (x_i, x_{i+d/2}) is turned by the angle
/// position · ω_i, where ω_i = θ^(−2i/d), stretched as <see cref="RopeConfig"/> says. Angles are computed in float64.
/// </summary>
internal sealed class RotaryEmbedding(RopeConfig config) : IDisposable
{
    private readonly Lock _turn = new();

    /// <summary>Made when it is first asked for: a build that only records its weights computes nothing, whatever the configuration says.
    /// </summary>
    private double[]? _frequencies;

    private Tensor? _onDevice;

    /// <summary>yarn makes attention's softmax sharper by multiplying cos and sin.</summary>
    private readonly double _scale = config.Type == RopeType.Yarn ? config.AttentionFactor ?? (0.1 * Math.Log(config.Factor)) + 1 : 1;

    /// <summary>ω_i, without what dynamic adds beyond its positions.</summary>
    public double[] BaseFrequencies() => _frequencies ??= Frequencies(config, config.Theta);

    /// <summary>
    /// cos and sin of positions [B or 1, T], each [B or 1, T, 1, d], ready for heads in the third place. The first half of sin is negative,
    /// as x_{i+d/2} is turned onto x_i.
    /// </summary>
    public (Tensor Cos, Tensor Sin) CosSin(Tensor positions, ScalarType type)
    {
        long length = config.Type == RopeType.Dynamic ? positions.max().item<long>() + 1 : 0;
        Tensor frequencies = length > config.MaxPositions
            ? tensor(DynamicFrequencies(length), device: positions.device)
            : BaseFrequencies(positions.device);
        Tensor angles = positions.to(ScalarType.Float64).unsqueeze(-1) * frequencies;
        Tensor cos = angles.cos(), sin = angles.sin();
        return (Both(cos, cos), Both(sin.neg(), sin));

        Tensor Both(Tensor first, Tensor second) => cat([first, second], dim: -1).Scale(_scale).to(type).unsqueeze(2);
    }

    /// <summary>Turns x [B, T, heads, d], to [B, heads, T, d].</summary>
    public static Tensor Rotate(Tensor x, (Tensor Cos, Tensor Sin) angles) => RotationRows.Fits(x, angles)
        ? RotationFunction.Apply(x, angles.Cos, angles.Sin)
        : (x * angles.Cos).AddProduct(x.roll(x.shape[^1] / 2, -1), angles.Sin).transpose(1, 2);

    public void Dispose() => _onDevice?.Dispose();

    /// <summary>ω_i where the model computes: uploaded once, not in every forward.</summary>
    private Tensor BaseFrequencies(Device device)
    {
        lock (_turn)
        {
            return _onDevice ??= tensor(BaseFrequencies(), device: device).DetachFromDisposeScope();
        }
    }

    private static double[] Frequencies(RopeConfig config, double theta)
    {
        var frequencies = new double[config.HeadDim / 2];
        for (int i = 0; i < frequencies.Length; i++)
        {
            double frequency = Math.Pow(theta, -2.0 * i / config.HeadDim);
            frequencies[i] = config.Type switch
            {
                RopeType.Linear => frequency / config.Factor,
                RopeType.Llama3 => Llama3(config, frequency),
                RopeType.Yarn => Yarn(config, frequency, i),
                RopeType.Default or RopeType.Dynamic => frequency,
                _ => throw new UnreachableException(),
            };
        }

        return frequencies;
    }

    /// <summary>Beyond the positions of pre-training the base grows with the longest row: one base for the whole call.</summary>
    private double[] DynamicFrequencies(long length)
    {
        double stretch = (config.Factor * length / config.MaxPositions) - (config.Factor - 1);
        return Frequencies(config, config.Theta * Math.Pow(stretch, config.HeadDim / (config.HeadDim - 2.0)));
    }

    /// <summary>Llama 3.1: long waves are stretched, short ones left alone, those between blended.</summary>
    private static double Llama3(RopeConfig config, double frequency)
    {
        double turns = config.OriginalMaxPositions * frequency / (2 * Math.PI);
        if (turns <= config.LowFrequencyFactor)
        {
            return frequency / config.Factor;
        }

        if (turns >= config.HighFrequencyFactor)
        {
            return frequency;
        }

        double smooth = (turns - config.LowFrequencyFactor) / (config.HighFrequencyFactor - config.LowFrequencyFactor);
        return ((1 - smooth) * frequency / config.Factor) + (smooth * frequency);
    }

    /// <summary>YaRN (Peng et al., arXiv 2309.00071): a ramp over the dimensions between β_fast and β_slow turns.</summary>
    private static double Yarn(RopeConfig config, double frequency, int i)
    {
        double low = Math.Max(Math.Floor(Dimension(config.BetaFast)), 0);
        double high = Math.Min(Math.Ceiling(Dimension(config.BetaSlow)), config.HeadDim - 1);
        double ramp = Math.Clamp((i - low) / Math.Max(high - low, 0.001), 0, 1);
        return (frequency / config.Factor * ramp) + (frequency * (1 - ramp));

        double Dimension(double turns) =>
            config.HeadDim * Math.Log(config.OriginalMaxPositions / (turns * 2 * Math.PI)) / (2 * Math.Log(config.Theta));
    }
}

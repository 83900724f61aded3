using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>
/// Which rotary embedding a model uses: its base θ and how it is stretched beyond the positions of pre-training. Read from
/// <c>rope_theta</c> and <c>rope_scaling</c>, or from the <c>rope_parameters</c> of transformers 5.
/// </summary>
internal sealed record RopeConfig
{
    private static readonly string[] Types = ["default", "linear", "dynamic", "llama3", "yarn"];

    private static readonly Dictionary<string, string[]> Keys = new(StringComparer.Ordinal)
    {
        ["default"] = [],
        ["linear"] = ["factor"],
        ["dynamic"] = ["factor"],
        ["llama3"] = ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"],
        ["yarn"] = ["factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow"],
    };

    /// <summary>default, linear, dynamic, llama3 or yarn.</summary>
    public required string Type { get; init; }

    /// <summary>The base of the frequencies θ^(−2i/d).</summary>
    public required double Theta { get; init; }

    /// <summary>d: the numbers of a head that are turned, in pairs.</summary>
    public required int HeadDim { get; init; }

    public required int MaxPositions { get; init; }

    public double Factor { get; init; } = 1;

    public double LowFrequencyFactor { get; init; }

    public double HighFrequencyFactor { get; init; }

    public int OriginalMaxPositions { get; init; }

    public double BetaFast { get; init; } = 32;

    public double BetaSlow { get; init; } = 1;

    /// <summary>yarn: what cos and sin are multiplied by; null: 0.1·ln(Factor) + 1.</summary>
    public double? AttentionFactor { get; init; }

    public static RopeConfig Read(JsonReader config, int headDim, int maxPositions)
    {
        JsonReader? parameters = config.Section("rope_parameters") ?? config.Section("rope_scaling");
        double theta = parameters is not null && parameters.Has("rope_theta")
            ? parameters.NumberOf("rope_theta")
            : config.NumberOf("rope_theta", 10000);
        if (parameters is null)
        {
            return new RopeConfig { Type = "default", Theta = theta, HeadDim = headDim, MaxPositions = maxPositions };
        }

        string type = parameters.Has("rope_type") ? parameters.TextOf("rope_type") : parameters.TextOf("type", "default");
        if (!Types.Contains(type, StringComparer.Ordinal))
        {
            throw new NotSupportedException($"The rotary embedding '{type}' is not implemented; {string.Join(", ", Types)} are.");
        }

        string[] known = [.. Keys[type], "rope_type", "type", "rope_theta"];
        if (parameters.Keys.FirstOrDefault(key => !known.Contains(key, StringComparer.Ordinal)) is { } unknown)
        {
            throw new NotSupportedException(
                $"The rotary embedding '{type}' has the setting '{unknown}', which is not implemented; {string.Join(", ", known)} are.");
        }

        bool llama3 = type == "llama3";
        return new RopeConfig
        {
            Type = type,
            Theta = theta,
            HeadDim = headDim,
            MaxPositions = maxPositions,
            Factor = type == "default" ? 1 : parameters.NumberOf("factor"),
            LowFrequencyFactor = llama3 ? parameters.NumberOf("low_freq_factor") : 0,
            HighFrequencyFactor = llama3 ? parameters.NumberOf("high_freq_factor") : 0,
            OriginalMaxPositions = parameters.Positive("original_max_position_embeddings", llama3 ? null : maxPositions),
            BetaFast = parameters.NumberOf("beta_fast", 32),
            BetaSlow = parameters.NumberOf("beta_slow", 1),
            AttentionFactor = parameters.Has("attention_factor") ? parameters.NumberOf("attention_factor") : null,
        };
    }
}

using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>
/// Which rotary embedding a model uses: its base θ and how it is stretched beyond the positions of pre-training. Read from
/// <c>rope_theta</c> and <c>rope_scaling</c>, or from the <c>rope_parameters</c> of transformers 5.
/// </summary>
internal sealed record RopeConfig
{
    private const string PartialFactor = "partial_rotary_factor";

    /// <summary>What config.json calls each, and the settings that it has there.</summary>
    private static readonly (string Name, RopeType Type, string[] Settings)[] s_types =
    [
        ("default", RopeType.Default, []),
        ("linear", RopeType.Linear, ["factor"]),
        ("dynamic", RopeType.Dynamic, ["factor"]),
        ("llama3", RopeType.Llama3, ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"]),
        ("yarn", RopeType.Yarn, ["factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow"]),
    ];

    /// <summary>What any type may have beside its settings. "finetuned" is a mark of YaRN's authors, which changes nothing.</summary>
    private static readonly string[] s_common = ["finetuned", PartialFactor, "rope_type", "type", "rope_theta"];

    public required RopeType Type { get; init; }

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
        RefusePartial(config);
        double theta = parameters is not null && parameters.Has("rope_theta")
            ? parameters.NumberOf("rope_theta")
            : config.NumberOf("rope_theta", 10000);
        if (parameters is null)
        {
            return new RopeConfig { Type = RopeType.Default, Theta = theta, HeadDim = headDim, MaxPositions = maxPositions };
        }

        RefusePartial(parameters);
        string name = parameters.Has("rope_type") ? parameters.TextOf("rope_type") : parameters.TextOf("type", "default");
        if (Array.FindIndex(s_types, known => known.Name == name) is not (>= 0 and int index))
        {
            throw new NotSupportedException(
                $"The rotary embedding '{name}' is not implemented; {string.Join(", ", s_types.Select(known => known.Name))} are.");
        }

        (_, RopeType type, string[] settings) = s_types[index];
        Verify(parameters, name, type, settings);
        bool llama3 = type == RopeType.Llama3;
        return new RopeConfig
        {
            Type = type,
            Theta = theta,
            HeadDim = headDim,
            MaxPositions = maxPositions,
            Factor = type == RopeType.Default ? 1 : parameters.NumberOf("factor"),
            LowFrequencyFactor = llama3 ? parameters.NumberOf("low_freq_factor") : 0,
            HighFrequencyFactor = llama3 ? parameters.NumberOf("high_freq_factor") : 0,
            OriginalMaxPositions = Reads("original_max_position_embeddings")
                ? parameters.Positive("original_max_position_embeddings", llama3 ? null : maxPositions)
                : maxPositions,
            BetaFast = Reads("beta_fast") ? parameters.NumberOf("beta_fast", 32) : 32,
            BetaSlow = Reads("beta_slow") ? parameters.NumberOf("beta_slow", 1) : 1,
            AttentionFactor = Reads("attention_factor") && parameters.Has("attention_factor")
                ? parameters.NumberOf("attention_factor")
                : null,
        };

        bool Reads(string setting) => settings.Contains(setting, StringComparer.Ordinal);
    }

    /// <summary>Refuses settings that are not known: they might change what is computed.</summary>
    private static void Verify(JsonReader parameters, string name, RopeType type, string[] settings)
    {
        // As in transformers: the plain embedding is made from θ alone, whatever stands beside it (a section in the section would be for
        // layers that differ), and a type leaves alone what belongs to others. Dynamic's own original positions are another matter.
        string[] known = type == RopeType.Default
            ? [.. parameters.Members.Where(member => !member.Value.IsObject).Select(member => member.Key)]
            : [.. s_common, .. settings, .. s_types.Where(_ => type != RopeType.Dynamic).SelectMany(other => other.Settings)];
        if (parameters.Keys.FirstOrDefault(key => !known.Contains(key, StringComparer.Ordinal)) is { } unknown)
        {
            throw new NotSupportedException(
                $"The rotary embedding '{name}' has the setting '{unknown}', which is not implemented; "
                + $"{string.Join(", ", known.Distinct(StringComparer.Ordinal))} are.");
        }
    }

    /// <summary>The share of a head that is turned: all of it here.</summary>
    private static void RefusePartial(JsonReader section)
    {
        if (section.Has(PartialFactor) && section.NumberOf(PartialFactor) is not 1)
        {
            throw section[PartialFactor].Unsupported("heads are turned as a whole: it must be 1 or absent");
        }
    }
}

/// <summary>
/// How the frequencies are stretched beyond the positions of pre-training; <see cref="RotaryEmbedding"/> has the formulas.
/// </summary>
internal enum RopeType
{
    /// <summary>Not at all.</summary>
    Default,

    /// <summary>All are divided by the factor.</summary>
    Linear,

    /// <summary>The base grows with the length of the text.</summary>
    Dynamic,

    /// <summary>As in Llama 3.1: long waves only.</summary>
    Llama3,

    /// <summary>YaRN.</summary>
    Yarn,
}

using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Models.Families;

/// <summary>
/// The keys of config.json that families share, with transformers' defaults: no bias, no window. A family says how it differs.
/// </summary>
internal static class DecoderKeys
{
    /// <exception cref="NotSupportedException">An activation or a rotary embedding that is not implemented.</exception>
    /// <exception cref="InvalidDataException">A key is missing, or its value makes no sense.</exception>
    public static DecoderSpec Read(JsonReader config)
    {
        Activation activation = ReadActivation(config);
        int hidden = config.Positive("hidden_size");
        AttentionSpec attention = ReadAttention(config, hidden);
        int maxPositions = config.Positive("max_position_embeddings", 2048);
        return new DecoderSpec
        {
            VocabularySize = config.Positive("vocab_size"),
            HiddenSize = hidden,
            MaxPositions = maxPositions,
            Attention = attention,
            FeedForward = new FeedForwardSpec(config.Positive("intermediate_size"), activation),
            Norm = new NormSpec(config.NumberOf("rms_norm_eps", 1e-6)),
            Rope = RopeConfig.Read(config, attention.HeadDim, maxPositions),
            LayerCount = config.Positive("num_hidden_layers"),
            TieWordEmbeddings = config.FlagOf("tie_word_embeddings"),
        };
    }

    private static AttentionSpec ReadAttention(JsonReader config, int hidden)
    {
        int heads = config.Positive("num_attention_heads");
        int keyValueHeads = config.Positive("num_key_value_heads", heads);
        if (heads % keyValueHeads != 0)
        {
            throw config.Bad($"num_attention_heads {heads} is not a multiple of num_key_value_heads {keyValueHeads}");
        }

        if (!config.Has("head_dim") && hidden < heads)
        {
            throw config.Bad($"hidden_size {hidden} is less than num_attention_heads {heads}, and head_dim is not given: heads of nothing");
        }

        int headDim = config.Positive("head_dim", hidden / heads);
        return headDim % 2 == 0
            ? new AttentionSpec(heads, keyValueHeads, headDim)
            : throw config.Bad($"head_dim {headDim} is odd, and rotary embeddings turn pairs");
    }

    private static Activation ReadActivation(JsonReader config) => config.TextOf("hidden_act", "silu") switch
    {
        "silu" => Activation.Silu,
        _ => throw config["hidden_act"].Unsupported("the activation that is implemented is 'silu'"),
    };
}

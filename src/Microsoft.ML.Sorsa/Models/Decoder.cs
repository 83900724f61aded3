using System.Globalization;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>The stack of layers between embedding and head.</summary>
internal sealed class Decoder : nn.Module
{
    public const string EmbeddingName = "embed_tokens";

    private const string LayersName = "layers";
    private const string NormName = "norm";

    private readonly DecoderSpec _spec;
    private readonly RotaryEmbedding _rotary;

    [ComponentName(Name = EmbeddingName)]
    private readonly TokenEmbedding _embedding;

    [ComponentName(Name = LayersName)]
    private readonly ModuleList<DecoderLayer> _layers;

    [ComponentName(Name = NormName)]
    private readonly RmsNorm _norm;

    /// <param name="spec">Its sizes.</param>
    /// <param name="path">Its name in the checkpoint.</param>
    /// <param name="weights">Where its weights come from.</param>
    public Decoder(DecoderSpec spec, string path, WeightSource weights)
        : base(nameof(Decoder))
    {
        _spec = spec;
        _rotary = new RotaryEmbedding(spec.Rope);
        _embedding = new TokenEmbedding(spec, $"{path}.{EmbeddingName}", weights);
        _layers = nn.ModuleList([.. Enumerable.Range(0, spec.LayerCount).Select(
            layer => new DecoderLayer(spec, layer, FormattableString.Invariant($"{path}.{LayersName}.{layer}"), weights))]);
        _norm = new RmsNorm(spec, $"{path}.{NormName}", weights);
    }

    public TokenEmbedding Embedding => _embedding;

    /// <summary>The layer that a weight belongs to, counted from 0, by its checkpoint name; null for what is in none.</summary>
    public static int? LayerOf(string name)
    {
        string[] parts = name.Split('.');
        int at = Array.IndexOf(parts, LayersName);
        string number = parts.ElementAtOrDefault(at + 1) ?? "";
        return at >= 0 && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int layer) ? layer : null;
    }

    /// <summary>Whether a forward with gradients keeps the inputs of its blocks alone: <see cref="GradientCheckpoint"/>.</summary>
    public bool GradientCheckpointing { get; set; }

    /// <summary>The projections of every layer, in the order of the layers.</summary>
    public IEnumerable<ProjectionSlot> Projections => _layers.SelectMany(layer => layer.Projections);

    /// <summary>
    /// The final hidden states [B, T, hidden] of embedded tokens [B, T, hidden]; the caller owns them. Rows padded on the right need
    /// no mask: no real token looks at what comes behind it.
    /// </summary>
    /// <param name="embedded">See <see cref="Embedding"/>.</param>
    /// <param name="attentionMask">
    /// int64 or bool [B, past + T]: 0 at padding, which may stand on the left; positions count the ones. Null: no padding.
    /// </param>
    /// <param name="cache">The past; the tokens are appended to it.</param>
    public Tensor Forward(Tensor embedded, Tensor? attentionMask = null, KVCache? cache = null)
    {
        using var scope = NewDisposeScope();
        int past = cache?.Length ?? 0, tokens = (int)embedded.shape[1];
        if (cache is not null && past + tokens > cache.Capacity)
        {
            throw new ArgumentException(
                $"The cache holds {cache.Capacity} tokens; {past} are there and {tokens} more do not fit. "
                + "Allocate it for the longest text.",
                nameof(cache));
        }

        if (attentionMask is not null && !attentionMask.shape.SequenceEqual([embedded.shape[0], past + tokens]))
        {
            throw new ArgumentException(
                $"The attention mask has the shape [{string.Join(", ", attentionMask.shape)}]; "
                + $"it must be [{embedded.shape[0]}, {past + tokens}]: rows by past and new tokens.",
                nameof(attentionMask));
        }

        (Tensor, Tensor) angles = _rotary.CosSin(Positions(attentionMask, past, tokens, embedded.device), embedded.dtype);
        Dictionary<LayerSpec, AttentionInputs> inputs = _spec.LayerPattern.Distinct().ToDictionary(
            kind => kind,
            kind => new AttentionInputs(angles, Mask(kind.SlidingWindow, attentionMask, past, tokens, embedded.device), cache));
        Tensor? checkpoint = GradientCheckpointing && is_grad_enabled() && cache is null
            ? zeros([], embedded.dtype, embedded.device, requires_grad: true)
            : null;
        Tensor hidden = embedded;
        for (int layer = 0; layer < _spec.LayerCount; layer++)
        {
            Tensor next = _layers[layer].Forward(hidden, inputs[_spec.Layer(layer)], checkpoint);
            if (!ReferenceEquals(hidden, embedded))
            {
                hidden.Dispose();
            }

            hidden = next;
        }

        cache?.Advance(tokens);
        return scope.MoveToOuter(_norm.call(hidden));
    }

    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
        {
            _rotary.Dispose();
        }
    }

    private static Tensor Positions(Tensor? attentionMask, int past, int tokens, Device device) => attentionMask is null
        ? ScalarArithmetic.WholeNumbers(past, past + tokens, device).unsqueeze(0)
        : attentionMask.to(ScalarType.Int64).cumsum(-1).Shift(-1L).AtLeast(0L).narrow(1, past, tokens);

    /// <summary>Causal, within the sliding window, not at padding; a token always sees itself, so that padding gives no NaN.</summary>
    private static Tensor? Mask(int? window, Tensor? attentionMask, int past, int tokens, Device device)
    {
        int all = past + tokens;
        if (window >= all)
        {
            window = null;
        }

        if (attentionMask is null && window is null && (past == 0 || tokens == 1))
        {
            return null;
        }

        Tensor queries = ScalarArithmetic.WholeNumbers(past, all, device).unsqueeze(1);
        Tensor distance = queries - ScalarArithmetic.WholeNumbers(0, all, device).unsqueeze(0);
        Tensor visible = distance.IsAtLeast(0);
        if (window is { } width)
        {
            visible = visible & distance.IsBelow(width);
        }

        visible = visible.view(1, 1, tokens, all);
        return attentionMask is null
            ? visible
            : (visible & attentionMask.to(ScalarType.Bool).view(-1, 1, 1, all)) | distance.IsEqualTo(0).view(1, 1, tokens, all);
    }
}

using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Interop;

/// <summary>A matrix of a model that is not ours, to be adapted where it lies.</summary>
/// <param name="Path">The name of its module in the model, such as model.layers.0.self_attn.q_proj.</param>
/// <param name="Weight">[out, in]: the module's own tensor, a parameter or a buffer.</param>
internal sealed record TargetWeight(string Path, Tensor Weight)
{
    private const string WeightName = "weight";

    private static readonly string[] QuantisedNames = ["8bit_weight", "4bit_weight"];

    /// <summary>The matrices of a model by the last part of their modules' names. One that several modules share comes once.</summary>
    /// <param name="module">The model.</param>
    /// <param name="targetModules">Names such as q_proj; null: every matrix but those of embeddings.</param>
    /// <exception cref="ArgumentException">None is there.</exception>
    /// <exception cref="NotSupportedException">The model is quantised.</exception>
    public static IReadOnlyList<TargetWeight> Find(nn.Module module, IReadOnlyCollection<string>? targetModules = null)
    {
        var all = new List<(nn.Module Owner, TargetWeight Target)>();
        var seen = new HashSet<Tensor>(ReferenceEqualityComparer.Instance);
        foreach ((string path, nn.Module owner) in module.named_modules().Prepend(("", module)))
        {
            foreach ((string name, Tensor tensor) in OwnTensors(owner))
            {
                if (QuantisedNames.Contains(name, StringComparer.Ordinal))
                {
                    throw new NotSupportedException(
                        $"The model is quantised: its module '{path}' holds '{name}'. " +
                        "A quantised weight cannot be adapted; load the model without quantisation.");
                }

                if (name == WeightName && tensor.dim() == 2 && tensor.is_floating_point() && seen.Add(tensor))
                {
                    all.Add((owner, new TargetWeight(path, tensor)));
                }
            }
        }

        TargetWeight[] found = [.. all
            .Where(
                found => targetModules?.Contains(LastPart(found.Target.Path), StringComparer.Ordinal)
                    ?? found.Owner is not (Embedding or EmbeddingBag))
            .Select(found => found.Target)];
        return found.Length > 0
            ? found
            : throw None(targetModules, [.. all.Select(found => LastPart(found.Target.Path)).Distinct(StringComparer.Ordinal)]);
    }

    private static ArgumentException None(IReadOnlyCollection<string>? targetModules, string[] names)
    {
        string what = targetModules is null
            ? "the model has no module but embeddings with a floating-point matrix called weight"
            : $"'{string.Join(", ", targetModules)}' matches no module with a floating-point matrix called weight";
        string remedy = names.Length > 0 ? $"Name one or more of {string.Join(", ", names)}." : "The model has no such module at all.";
        return new ArgumentException($"TargetModules: {what}. {remedy}", nameof(targetModules));
    }

    private static string LastPart(string path) => path[(path.LastIndexOf('.') + 1)..];

    private static IEnumerable<(string Name, Tensor Tensor)> OwnTensors(nn.Module owner) =>
        owner.named_parameters(recurse: false).Select(named => (named.name, (Tensor)named.parameter))
            .Concat(owner.named_buffers(recurse: false).Select(named => (named.name, named.buffer)));
}

namespace Microsoft.ML.Sorsa.Models;

/// <summary>What a model consists of, without its weights.</summary>
/// <param name="Tensors">The names and shapes of its checkpoint, in ordinal order.</param>
/// <param name="Projections">What can be adapted, in the order of the layers.</param>
internal sealed record DecoderLayout(IReadOnlyDictionary<string, long[]> Tensors, IReadOnlyList<ProjectionShape> Projections)
{
    /// <summary>The names that TargetModules may hold: q_proj, k_proj, ...</summary>
    public IReadOnlyList<string> TargetModules => [.. Projections.Select(projection => projection.Name).Distinct(StringComparer.Ordinal)];
}

/// <param name="Path">The name in the checkpoint without ".weight", such as model.layers.0.self_attn.q_proj.</param>
/// <param name="Name">Its last part, such as q_proj.</param>
/// <param name="Shape">[out, in].</param>
internal sealed record ProjectionShape(string Path, string Name, long[] Shape);

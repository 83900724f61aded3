using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>A copy of the trained tensors at the lowest validation loss so far.</summary>
internal sealed class BestWeights(IEnumerable<KeyValuePair<string, Parameter>> trained) : IDisposable
{
    private readonly KeyValuePair<string, Parameter>[] _trained = [.. trained];
    private Tensor[] _copies = [];

    /// <summary>The lowest validation loss; infinite before the first one.</summary>
    public double Loss { get; private set; } = double.PositiveInfinity;

    /// <summary>Evaluations since then.</summary>
    public int EvaluationsSince { get; private set; }

    /// <summary>The copies, by the tensors' names; none before the first evaluation.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> Copies => _copies.Select((copy, i) => KeyValuePair.Create(_trained[i].Key, copy));

    /// <summary>Takes the result of an evaluation, and a copy of the tensors if it is the lowest.</summary>
    public void Add(double loss)
    {
        if (!(loss < Loss))
        {
            EvaluationsSince++;
            return;
        }

        using var scope = NewDisposeScope();
        Set(loss, 0, [.. _trained.Select(named => named.Value.detach().clone().DetachFromDisposeScope())]);
    }

    /// <summary>Takes over what an interrupted training had; the copies belong to this from now on.</summary>
    /// <param name="evaluations">All of them, one at least, in their order.</param>
    /// <param name="copies">The trained tensors at the first of the lowest.</param>
    public void Set(IReadOnlyList<(int Step, double Loss)> evaluations, IReadOnlyList<Tensor> copies)
    {
        int best = Enumerable.Range(0, evaluations.Count).MinBy(at => evaluations[at].Loss);
        Set(evaluations[best].Loss, evaluations.Count - 1 - best, copies);
    }

    private void Set(double loss, int evaluationsSince, IReadOnlyList<Tensor> copies)
    {
        Dispose();
        (Loss, EvaluationsSince, _copies) = (loss, evaluationsSince, [.. copies]);
    }

    /// <summary>Puts the best values into the trained tensors, where there are any.</summary>
    public void Restore()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        for (int i = 0; i < _copies.Length; i++)
        {
            _trained[i].Value.copy_(_copies[i]);
        }
    }

    public void Dispose()
    {
        foreach (Tensor copy in _copies)
        {
            copy.Dispose();
        }

        _copies = [];
    }
}

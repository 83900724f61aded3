using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>Keeps a copy of the trained tensors at the lowest validation loss so far, and counts the looks since.</summary>
internal sealed class BestWeights(IEnumerable<Parameter> parameters, int patience) : IDisposable
{
    private readonly Parameter[] _parameters = [.. parameters];
    private Tensor[] _copies = [];
    private double _lowest = double.PositiveInfinity;
    private int _looksSince;

    /// <summary>Takes a copy if this loss is the lowest; true when as many looks in a row as the patience were no better.</summary>
    public bool IsTimeToStop(double loss)
    {
        if (!(loss < _lowest))
        {
            return ++_looksSince >= patience;
        }

        _lowest = loss;
        _looksSince = 0;
        Dispose();
        using var scope = NewDisposeScope();
        _copies = [.. _parameters.Select(parameter => parameter.detach().clone().DetachFromDisposeScope())];
        return false;
    }

    /// <summary>Puts the best values back, where there are any.</summary>
    public void Restore()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        for (int i = 0; i < _copies.Length; i++)
        {
            _parameters[i].copy_(_copies[i]);
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

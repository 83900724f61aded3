using System.Diagnostics;
using System.Text.Json;
using Hangfire;
using Hangfire.Common;
using Hangfire.Storage;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>Which rows of Hangfire's table are trials.</summary>
[TestClass]
[TestCategory("Sweeps")]
public sealed class SweepsTrialCallTests
{
    private const string Type = "Microsoft.ML.Sorsa.TrialJob, Microsoft.ML.Sorsa.Hangfire";
    private const string Types = """["System.String, mscorlib","System.Int32, mscorlib","System.Threading.CancellationToken, mscorlib"]""";
    private const string Arguments = """["\"gamma and rank\"","7",null]""";

    [TestMethod]
    public void WhatTheExperimentWritesIsRead()
    {
        var written = InvocationData.SerializeJob(
            Job.FromExpression<TrialJob>(worker => worker.Run("γ \"and\" rank\0", 7, CancellationToken.None)));

        Job read = TrialCall.Read(Row(written.Type, written.Method, written.ParameterTypes), written.Arguments);

        Assert.AreEqual(typeof(TrialJob), read.Type);
        Assert.AreEqual(typeof(TrialJob).GetMethod(nameof(TrialJob.Run)), read.Method);
        CollectionAssert.AreEqual(new object[] { "γ \"and\" rank\0", 7, CancellationToken.None }, read.Args.ToArray());
    }

    [TestMethod]
    [DataRow(Type)]
    [DataRow("Microsoft.ML.Sorsa.TrialJob, Microsoft.ML.Sorsa.Hangfire, Version=7.0.0.0, Culture=neutral, PublicKeyToken=null")]
    public void AnotherVersionsTrialIsATrial(string type) =>
        Assert.AreEqual("gamma and rank", TrialCall.Read(Row(type, "Run", Types), Arguments).Args[0]);

    /// <summary>Other types, methods and arguments, and what is no JSON.</summary>
    [TestMethod]
    [DataRow("System.Diagnostics.Process, System.Diagnostics.Process", "Start", """["System.String, mscorlib"]""", """["\"id\""]""")]
    [DataRow("System.Diagnostics.Process, System.Diagnostics.Process", "Run", Types, Arguments)]
    [DataRow("Microsoft.ML.Sorsa.TrialJob, Somebodys.Assembly", "Run", Types, Arguments)]
    [DataRow("Microsoft.ML.Sorsa.TrialJob", "Run", Types, Arguments)]
    [DataRow("Microsoft.ML.Sorsa.TrialJob+X, Microsoft.ML.Sorsa.Hangfire", "Run", Types, Arguments)]
    [DataRow("Microsoft.ML.Sorsa.WorkerStudies, Microsoft.ML.Sorsa.Hangfire", "Run", Types, Arguments)]
    [DataRow("", "Run", Types, Arguments)]
    [DataRow(Type, "Equals", """["System.Object, mscorlib"]""", Arguments)]
    [DataRow(Type, "run", Types, Arguments)]
    [DataRow(Type, "Run", """["System.String, mscorlib","System.Int32, mscorlib"]""", Arguments)]
    [DataRow(Type, "Run", """["System.String, mscorlib","System.Int32, mscorlib","System.Object, mscorlib"]""", Arguments)]
    [DataRow(Type, "Run", "[]", "[]")]
    [DataRow(Type, "Run", "null", Arguments)]
    [DataRow(Type, "Run", "{", Arguments)]
    [DataRow(Type, "Run", Types, "[]")]
    [DataRow(Type, "Run", Types, "null")]
    [DataRow(Type, "Run", Types, null)]
    [DataRow(Type, "Run", Types, """["\"a\"","7"]""")]
    [DataRow(Type, "Run", Types, """[null,"7",null]""")]
    [DataRow(Type, "Run", Types, """["null","7",null]""")]
    [DataRow(Type, "Run", Types, """["\"a\"","\"7\"",null]""")]
    [DataRow(Type, "Run", Types, """["\"a\"","7e99",null]""")]
    [DataRow(Type, "Run", Types, """["{\"$type\":\"System.Diagnostics.Process, System.Diagnostics.Process\"}","7",null]""")]
    public void EverythingElseIsRefused(string type, string method, string types, string? arguments) =>
        Assert.Contains(
            "The job is no trial",
            Assert.ThrowsExactly<InvalidDataException>(() => TrialCall.Read(Row(type, method, types), arguments)).Message);

    [TestMethod]
    [DataRow(null)]
    [DataRow("")]
    [DataRow("null")]
    [DataRow("[1]")]
    [DataRow("{}")]
    [DataRow("""{"Type":1,"Method":"Run","ParameterTypes":"[]"}""")]
    [DataRow("""{"$type":"System.Diagnostics.Process, System.Diagnostics.Process"}""")]
    public void ARowThatIsNoCallIsRefused(string? invocation) =>
        Assert.ThrowsExactly<InvalidDataException>(() => TrialCall.Read(invocation, Arguments));

    /// <summary>No row's names are resolved, a trial's neither: the process-wide resolver hears of none of them.</summary>
    [TestMethod]
    [DoNotParallelize]
    public void NoTypeIsLoaded()
    {
        Func<string, Type> before = TypeHelper.CurrentTypeResolver;
        var asked = new List<string>();
        GlobalConfiguration.Configuration.UseTypeResolver(name =>
        {
            asked.Add(name);
            return before(name);
        });
        try
        {
            TrialCall.Read(Row(Type, "Run", Types), Arguments);
            Assert.ThrowsExactly<InvalidDataException>(
                () => TrialCall.Read(Row(typeof(Process).AssemblyQualifiedName!, "Start", """["System.String"]"""), """["\"id\""]"""));
        }
        finally
        {
            GlobalConfiguration.Configuration.UseTypeResolver(before);
        }

        Assert.IsEmpty(asked);
    }

    private static string Row(string type, string method, string types) =>
        JsonSerializer.Serialize(new { Type = type, Method = method, ParameterTypes = types, Arguments = (string?)null });
}

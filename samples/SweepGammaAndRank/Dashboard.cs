using System.Globalization;
using Hangfire;
using Hangfire.Dashboard;
using Hangfire.PostgreSql;
using Hangfire.PostgreSql.Factories;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.ML.Sorsa;

namespace SweepGammaAndRank;

/// <summary>
/// Hangfire's dashboard on this machine alone: the trials as jobs, and the workers. It may be looked at, and nothing can be changed with
/// it. A page from elsewhere cannot read it through a name of its own that leads to this machine: such a name is refused.
/// </summary>
internal sealed class Dashboard : IDisposable
{
    private const string TrialJob = "Microsoft.ML.Sorsa.TrialJob";

    private readonly WebApplication _site;

    /// <param name="connectionString">The database.</param>
    /// <param name="port">Of the loopback address; 0: a free one.</param>
    public Dashboard(string connectionString, int port)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}"));
        builder.Services.AddHostFiltering(hosts =>
        {
            hosts.AllowedHosts = ["127.0.0.1", "localhost"];
            hosts.AllowEmptyHosts = false;
        });

        // AddHangfire would also make this site's log, activator and database those of all Hangfire in the process, and leave them there
        // when the site is gone. The names of types are the process's too; they are put back.
        builder.Services.AddSingleton(DashboardRoutes.Routes);
        builder.Services.AddSingleton<IGlobalConfiguration>(GlobalConfiguration.Configuration.UseTypeResolver(TypeOf));
        var options = new PostgreSqlStorageOptions();
        _site = builder.Build();
        _site.UseHostFiltering();
        _site.UseHangfireDashboard(
            "",
            new DashboardOptions { IsReadOnlyFunc = _ => true },
            new PostgreSqlStorage(new NpgsqlConnectionFactory(connectionString, options), options));
        _site.StartAsync().GetAwaiter().GetResult();
        Address = new Uri(_site.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
    }

    public Uri Address { get; }

    /// <summary>
    /// The dashboard shows jobs by their types, and would load any type that the database names: those of trials are enough.
    /// </summary>
    private static Type TypeOf(string name) => name.Split(',')[0] switch
    {
        "System.String" => typeof(string),
        "System.Int32" => typeof(int),
        "System.Threading.CancellationToken" => typeof(CancellationToken),
        TrialJob => typeof(SorsaSweepWorker).Assembly.GetType(TrialJob, throwOnError: true)!,
        _ => throw new TypeLoadException($"'{name}' is no type of a trial; other jobs are not shown."),
    };

    public void Dispose()
    {
        _site.DisposeAsync().AsTask().GetAwaiter().GetResult();
        GlobalConfiguration.Configuration.UseDefaultTypeResolver();
    }
}
